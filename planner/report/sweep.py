"""A sweep's table as a person reads it, as files (CSV, JSON, Parquet) and as a chart."""
