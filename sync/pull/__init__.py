"""From a store's pages to rows: streams, pages in one transaction each, and what vanished."""
