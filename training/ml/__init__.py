"""Pure: tables, data quality, estimators, folds, search and the gate. No Django."""
