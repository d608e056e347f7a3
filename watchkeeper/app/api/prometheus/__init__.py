"""The Prometheus HTTP API, so that Grafana, promtool and scripts use Watchkeeper as a data source."""

from watchkeeper.app.api.prometheus import language, queries, rules, series, status, targets

PARTS = (language, queries, rules, series, status, targets)
