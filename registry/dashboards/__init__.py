"""The registry's pages: models, versions, comparison, approvals, rollback."""
