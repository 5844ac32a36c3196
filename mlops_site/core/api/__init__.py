"""What every endpoint shares: authentication, problem+json, strict input, pages, idempotency."""
