"""From membership to acknowledged writes: what each destination should hold, the plan, the guards, the outbox."""
