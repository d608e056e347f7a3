"""Wire forms that several parts speak: Prometheus's remote write, both ways."""
