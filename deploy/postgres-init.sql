-- MLflow keeps its tables in a database of its own: it and Optuna both own a table named alembic_version.
CREATE DATABASE mlflow;
