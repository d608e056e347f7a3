"""Every function family, in Prometheus's own test-script language."""

from __future__ import annotations

import pytest
from support.promql import engine, steps, verdicts

ELEMENTWISE = """
load 1m
  x{i="a"} -2.5
  x{i="b"} 4
  x{i="c"} NaN
  unit{} 0.5

eval instant at 0 abs(x)
  {i="a"} 2.5
  {i="b"} 4
  {i="c"} NaN

eval instant at 0 ceil(x{i="a"})
  {i="a"} -2

eval instant at 0 floor(x{i="a"})
  {i="a"} -3

eval instant at 0 round(x{i="a"})
  {i="a"} -2

eval instant at 0 round(x{i="a"}, 2)
  {i="a"} -2

eval instant at 0 sqrt(x{i="b"})
  {i="b"} 2

eval instant at 0 exp(x{i="b"})
  {i="b"} 54.598150033144236

eval instant at 0 ln(x)
  {i="a"} NaN
  {i="b"} 1.3862943611198906
  {i="c"} NaN

eval instant at 0 log2(x{i="b"})
  {i="b"} 2

eval instant at 0 log10(x{i="b"})
  {i="b"} 0.6020599913279624

eval instant at 0 sgn(x)
  {i="a"} -1
  {i="b"} 1
  {i="c"} NaN

eval instant at 0 clamp(x, -1, 3)
  {i="a"} -1
  {i="b"} 3
  {i="c"} NaN

eval instant at 0 clamp(x, 3, -1)

eval instant at 0 clamp_min(x{i="a"}, 0)
  {i="a"} 0

eval instant at 0 clamp_max(x{i="b"}, 0)
  {i="b"} 0

eval instant at 0 -x{i="b"}
  {i="b"} -4

eval instant at 0 deg(vector(pi()))
  {} 180

eval instant at 0 rad(vector(180))
  {} 3.141592653589793

eval instant at 0 asin(sin(unit)) + acos(cos(unit)) + atan(tan(unit))
  {} 1.5

eval instant at 0 asinh(sinh(unit)) + acosh(cosh(unit)) + atanh(tanh(unit))
  {} 1.5

eval instant at 0 vector(3) atan2 vector(4)
  {} 0.6435011087932844
"""

COUNTERS = """
load 1m
  c_total{i="steady"} 0+60x10
  c_total{i="reset"} 0 60 120 30 90 150
  c_total{i="gap"} 0 60 _ 180 240 _ 360
  g{i="up"} 0+30x10
  inf_total 1 Inf 5 6 7

# a window of 5m holds five samples: (0, 5m] has 1..5
eval instant at 5m rate(c_total{i="steady"}[5m])
  {i="steady"} 1

eval instant at 5m increase(c_total{i="steady"}[5m])
  {i="steady"} 300

# 60 -> 120 -> 30 -> 90 -> 150: 150 - 60 + 120 lost = 210 in 4 minutes; 60 s to the start, and zero is 68.6 s away
eval instant at 5m increase(c_total{i="reset"}[5m])
  {i="reset"} 262.5

eval instant at 6m rate(c_total{i="gap"}[6m])
  {i="gap"} 1

eval instant at 5m irate(c_total{i="reset"}[5m])
  {i="reset"} 1

eval instant at 3m irate(c_total{i="reset"}[2m])
  {i="reset"} 0.5

eval instant at 5m delta(g[5m])
  {i="up"} 150

eval instant at 5m idelta(g[5m])
  {i="up"} 30

eval instant at 5m resets(c_total{i="reset"}[10m])
  {i="reset"} 1

eval instant at 5m changes(c_total{i="reset"}[10m])
  {i="reset"} 5

eval instant at 5m deriv(g[5m])
  {i="up"} 0.5

eval instant at 5m predict_linear(g[5m], 60)
  {i="up"} 180

eval instant at 10m double_exponential_smoothing(g[5m], 0.5, 0.5)
  {i="up"} 300

# an infinite value poisons only the windows it lies in
eval instant at 4m increase(inf_total[2m])
  {} 2

# one sample is no rate, and what has no rate earns no remark
eval instant at 0 rate(g[5m])
  expect no_info

eval instant at 5m rate(c_total{i="steady"}[1m])

eval instant at 5m rate(g[5m])
  expect info regex: ^PromQL info: metric might not be a counter, .* _total/_sum/_count/_bucket: "g" \\(1:6\\)$
  {i="up"} 0.5
"""

OVER_TIME = """
load 1m
  m{i="a"} 5 1 3 2 4
  m{i="b"} 1 NaN 3
  e{} 1 1e100 1 -1e100
  big{} 1.5e308 1.5e308

eval instant at 4m sum_over_time(m[10m])
  {i="a"} 15
  {i="b"} NaN

eval instant at 4m avg_over_time(m{i="a"}[10m])
  {i="a"} 3

eval instant at 4m min_over_time(m[10m])
  {i="a"} 1
  {i="b"} 1

eval instant at 4m max_over_time(m[10m])
  {i="a"} 5
  {i="b"} 3

eval instant at 4m count_over_time(m[2m])
  {i="a"} 2

eval instant at 4m present_over_time(m[10m])
  {i="a"} 1
  {i="b"} 1

eval instant at 4m last_over_time(m[10m])
  m{i="a"} 4
  m{i="b"} 3

eval instant at 4m first_over_time(m{i="a"}[10m])
  m{i="a"} 5

eval instant at 4m stdvar_over_time(m{i="a"}[10m])
  {i="a"} 2

eval instant at 4m stddev_over_time(m{i="a"}[10m])
  {i="a"} 1.4142135623730951

eval instant at 4m mad_over_time(m{i="a"}[10m])
  {i="a"} 1

eval instant at 4m quantile_over_time(0.25, m{i="a"}[10m])
  {i="a"} 2

eval instant at 4m quantile_over_time(1.5, m{i="a"}[10m])
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:20)
  {i="a"} Inf

eval instant at 4m ts_of_min_over_time(m{i="a"}[10m])
  {i="a"} 60

eval instant at 4m ts_of_max_over_time(m[10m])
  {i="a"} 0
  {i="b"} 120

eval instant at 4m ts_of_first_over_time(m{i="a"}[3m])
  {i="a"} 120

eval instant at 4m ts_of_last_over_time(m[10m])
  {i="a"} 240
  {i="b"} 120

eval instant at 4m sum_over_time(e[10m])
  {} 2

eval instant at 4m avg_over_time(big[10m])
  {} 1.5e308

eval instant at 4m absent_over_time(nope{job="x"}[5m])
  {job="x"} 1

eval instant at 4m absent_over_time(m[5m])

eval range from 0 to 20m step 10m absent_over_time(e[5m])
  {} _ 1 1
"""

VECTORS = """
load 1m
  up{job="a", instance="10"} 1 1
  up{job="a", instance="9"} 0 0
  up{job="b", instance="1"} 5 5
  one{} 7

eval instant at 1m absent(nope{job="x", env=~"p.*"})
  {job="x"} 1

eval instant at 1m absent(up)

eval instant at 1m scalar(one) + 1
  8

eval instant at 1m scalar(up)
  NaN

eval instant at 1m scalar(nope)
  NaN

eval instant at 90s timestamp(one)
  {} 0

eval instant at 90s timestamp(one * 1)
  {} 90

eval instant at 1m time()
  60

eval instant at 1m min_of(1, 2) + max_of(3, 4)
  5

eval instant at 1m sort(up)
  expect ordered
  up{job="a", instance="9"} 0
  up{job="a", instance="10"} 1
  up{job="b", instance="1"} 5

eval instant at 1m sort_desc(up)
  expect ordered
  up{job="b", instance="1"} 5
  up{job="a", instance="10"} 1
  up{job="a", instance="9"} 0

eval instant at 1m sort_by_label(up, "instance")
  expect ordered
  up{job="b", instance="1"} 5
  up{job="a", instance="9"} 0
  up{job="a", instance="10"} 1

eval instant at 1m sort_by_label_desc(up, "job", "instance")
  expect ordered
  up{job="b", instance="1"} 5
  up{job="a", instance="10"} 1
  up{job="a", instance="9"} 0

eval range from 0 to 1m step 1m sort(one)
  expect warn regex: ^PromQL warning: sort is ineffective for range queries .* \\(1:1\\)$
  one 7 7

eval instant at 1m label_replace(up{job="b"}, "tier", "${1}-$2-$$", "instance", "(\\\\d)(x?)")
  up{job="b", instance="1", tier="1--$"} 5

eval instant at 1m label_replace(up{job="b"}, "tier", "$name$5", "job", "(?P<name>.)")
  up{job="b", instance="1", tier="b"} 5

eval instant at 1m label_replace(up{job="b"}, "tier", "x", "job", "zzz")
  up{job="b", instance="1"} 5

eval instant at 1m label_replace(up, "instance", "", "job", ".*")
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 1m label_replace(one, "__name__", "two", "", "")
  two 7

eval instant at 1m label_replace(rate(up{job="b"}[2m]), "__name__", "speed", "", "")
  speed{job="b", instance="1"} 0

eval instant at 1m label_join(up{job="b"}, "both", "/", "job", "instance", "none")
  up{job="b", instance="1", both="b/1/"} 5

eval instant at 1m label_replace(one, "", "x", "", "")
  expect fail regex: invalid destination label name in label_replace\\(\\)

eval instant at 1m label_replace(one, "a", "x", "", "(")
  expect fail regex: error parsing regexp

eval instant at 1m histogram_count(one)
"""

DATES = """
# 2024-02-29 23:59:58 UTC, a Thursday
eval instant at 0 year(vector(1709251198))
  {} 2024

eval instant at 0 month(vector(1709251198))
  {} 2

eval instant at 0 day_of_month(vector(1709251198))
  {} 29

eval instant at 0 day_of_year(vector(1709251198))
  {} 60

eval instant at 0 day_of_week(vector(1709251198))
  {} 4

eval instant at 0 days_in_month(vector(1709251198))
  {} 29

eval instant at 0 hour(vector(1709251198))
  {} 23

eval instant at 0 minute(vector(1709251198))
  {} 59

eval instant at 0 minute(vector(NaN))
  {} NaN

eval instant at 3h hour()
  {} 3
"""

HISTOGRAMS = """
load 1m
  h_bucket{le="1"} 10
  h_bucket{le="2"} 30
  h_bucket{le="+Inf"} 40
  low_bucket{le="-1"} 5
  low_bucket{le="+Inf"} 10
  open_bucket{le="1"} 5
  bad_bucket{le="x"} 5
  fell_bucket{le="1"} 10
  fell_bucket{le="2"} 5
  fell_bucket{le="+Inf"} 20
  late_bucket{le="1"} 10 10
  late_bucket{le="2"} _ 20
  late_bucket{le="+Inf"} 20 20
  two_bucket{le="1"} 10
  two_bucket{le="1.0"} 10
  two_bucket{le="+Inf"} 40
  none_bucket{le="1"} 0
  none_bucket{le="+Inf"} 0

eval instant at 0 histogram_quantile(0.5, h_bucket)
  {} 1.5

eval instant at 0 histogram_quantile(0.1, h_bucket)
  {} 0.4

# in the last bucket the answer is its lower bound
eval instant at 0 histogram_quantile(0.9, h_bucket)
  {} 2

eval instant at 0 histogram_quantile(-1, h_bucket)
  expect warn
  {} -Inf

eval instant at 0 histogram_quantile(2, h_bucket)
  expect warn
  {} Inf

eval instant at 0 histogram_quantile(NaN, h_bucket)
  expect warn
  {} NaN

eval instant at 0 histogram_quantile(0.1, low_bucket)
  {} -1

eval instant at 0 histogram_quantile(0.5, open_bucket)
  {} NaN

eval instant at 0 histogram_quantile(0.5, none_bucket)
  {} NaN

# two spellings of one bound are one bucket: 20 of 40
eval instant at 0 histogram_quantile(0.25, two_bucket)
  {} 0.5

eval instant at 0 histogram_quantile(0.5, bad_bucket)
  expect warn regex: bucket label "le" is missing or has a malformed value of "x" for .* "bad_bucket" \\(1:25\\)$

eval instant at 0 histogram_quantile(0.25, fell_bucket)
  expect info regex: needed to be fixed for monotonicity
  {} 0.5

# the bucket that comes later changes the pattern from step to step: rank 15 of 20
eval range from 0 to 1m step 1m histogram_quantile(0.75, late_bucket)
  {} 1 1.5

eval instant at 0 histogram_quantiles(h_bucket, "q", 0.1, 0.5)
  {q="0.1"} 0.4
  {q="0.5"} 1.5

eval instant at 0 histogram_fraction(0, 1.5, h_bucket)
  {} 0.5

eval instant at 0 histogram_fraction(2, 1, h_bucket)
  {} 0

eval instant at 0 histogram_fraction(NaN, 1, h_bucket)
  {} NaN

eval instant at 0 histogram_fraction(0, 1, open_bucket)
  {} NaN

eval instant at 0 histogram_fraction(-1, Inf, low_bucket)
  {} 0.5
"""

INFO = """
load 1m
  m{instance="a", job="1"} 1 2 3
  m{instance="b", job="1"} 4 5 6
  target_info{instance="a", job="1", version="1"} 1 1 stale
  target_info{instance="a", job="1", version="2"} _ _ 1
  other_info{instance="a", job="1", colour="red"} 1 1 1

eval range from 0 to 2m step 1m info(m)
  m{instance="a", job="1", version="1"} 1 2 _
  m{instance="a", job="1", version="2"} _ _ 3
  m{instance="b", job="1"} 4 5 6

eval range from 0 to 2m step 1m info(m, {version=~".+"})
  m{instance="a", job="1", version="1"} 1 2 _
  m{instance="a", job="1", version="2"} _ _ 3

eval range from 0 to 1m step 1m info(m{instance="a"}, {__name__="other_info"})
  m{instance="a", job="1", colour="red"} 1 2

eval instant at 1m info(m{instance="a"} offset 1m, {__name__!="other_info"})
  m{instance="a", job="1", version="1"} 1

clear

load 1m
  m{instance="a", job="1"} 1
  x_info{instance="a", job="1", v="1"} 1
  x_info{instance="a", job="1", v="2"} 1
  y_info{instance="a", job="1", v="3"} 1
  z_info{instance="a", job="1", v="4"} 1

eval instant at 0 info(m, {__name__="x_info"})
  expect fail regex: found duplicate series for info metric

eval instant at 0 info(m, {__name__=~"(y|z)_info"})
  expect fail msg: conflicting label: v

eval instant at 0 info(m, {__name__="y_info"})
  m{instance="a", job="1", v="3"} 1

clear

load 1m
  other_info{instance="a", job="1", colour="red"} 1 1

eval instant at 1m info(vector(1))
  {} 1

eval instant at 1m info(other_info, {__name__="other_info"})
  other_info{instance="a", job="1", colour="red"} 1
"""

SCRIPTS = {
    "elementwise": ELEMENTWISE,
    "counters": COUNTERS,
    "over_time": OVER_TIME,
    "vectors": VECTORS,
    "dates": DATES,
    "histograms": HISTOGRAMS,
    "info": INFO,
}


@pytest.mark.parametrize("family", sorted(SCRIPTS))
def test_the_functions_of_a_family_answer_as_prometheus_does(family: str) -> None:
    assert verdicts(SCRIPTS[family]) == []


def test_buckets_that_fall_are_told_with_their_edges_and_how_far() -> None:
    over = engine('b{le="1"} 5 5\nb{le="2"} 3 6\nb{le="4"} 4.5 4\nb{le="+Inf"} 9 9')
    quantile = "histogram_quantile(0.5, b)"
    said = 'needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name "b"'  # noqa: E501
    (instant,) = over.instant(quantile, 0).infos
    assert instant == (
        f"PromQL info: input to histogram_quantile {said}, from buckets 2 to 4, with a max diff of 2,"
        " over 1 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z (1:25)"
    )
    (ranged,) = steps(over, quantile, 0, 1).infos
    assert "over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:25)" in ranged
    assert over.instant("histogram_fraction(0, 1, b)", 0).infos == []
