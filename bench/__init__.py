"""The speed of the product beside the limit of the machine, as ratios: `python -m bench [NAMES] [--quick]`."""
