//! A page in the making: families of series, each with its name, its help and its type.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::latency::{BOUNDS_NS, Sum};

/// What every name of ours begins with.
pub(super) const PREFIX: &str = "forewarn_";

/// We have none.
type NoExemplar = [(&'static str, &'static str); 0];

/// Labels of one series: names and values.
pub(super) type Labels<'l> = [(&'l str, &'l str)];

/// Writes families. Names are given without [`PREFIX`]; counters without `_total`.
pub(super) struct Page<'e>(pub(super) DescriptorEncoder<'e>);

impl Page<'_> {
    /// A counter with one series for each of its labels' values.
    pub(super) fn counters<'l, L: AsRef<Labels<'l>>, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let name = format!("{PREFIX}{name}");
        let mut family = self.0.encode_descriptor(&name, help, None, MetricType::Counter)?;
        series.into_iter().try_for_each(|(labels, value)| match labels.as_ref() {
            [] => family.encode_counter::<NoExemplar, _, u64>(&value, None),
            labels => family.encode_family(&labels)?.encode_counter::<NoExemplar, _, u64>(&value, None),
        })
    }

    /// A gauge with one series for each of its labels' values.
    pub(super) fn gauges<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let name = format!("{PREFIX}{name}");
        let mut family = self.0.encode_descriptor(&name, help, None, MetricType::Gauge)?;
        series.into_iter().try_for_each(|(labels, value)| match labels.as_ref() {
            [] => family.encode_gauge(&value),
            labels => family.encode_family(&labels)?.encode_gauge(&value),
        })
    }

    /// A counter of one series.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [(UNLABELLED, value)])
    }

    /// A gauge of one series; none when the figure isn't known.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        self.gauges(name, help, value.map(|value| (UNLABELLED, value)))
    }

    /// A histogram of latencies in seconds.
    pub(super) fn latencies<'l, L: AsRef<Labels<'l>>>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, Sum)>,
    ) -> fmt::Result {
        let name = format!("{PREFIX}{name}");
        let mut family = self.0.encode_descriptor(&name, help, None, MetricType::Histogram)?;
        let bounds = BOUNDS_NS.iter().map(|bound| *bound as f64 / 1e9).chain([f64::INFINITY]);
        let bounds: Vec<f64> = bounds.collect();
        for (labels, sum) in series {
            let buckets: Vec<(f64, u64)> = bounds.iter().copied().zip(sum.buckets).collect();
            let count = sum.buckets.iter().sum();
            let labels = labels.as_ref();
            let mut series = family.encode_family(&labels)?;
            series.encode_histogram::<NoExemplar>(sum.sum_ns as f64 / 1e9, count, &buckets, None)?;
        }
        Ok(())
    }

    /// A figure under the name that the programs of other houses have it under too.
    pub(super) fn standard(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        value: Option<f64>,
    ) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        match kind {
            MetricType::Counter => family.encode_counter::<NoExemplar, _, u64>(&value, None),
            _ => family.encode_gauge(&value),
        }
    }
}

const UNLABELLED: &Labels<'static> = &[];

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text format 0.0.4, which everything understands.
    Text,
}

impl Dialect {
    /// The one that a scraper's `Accept` asks for.
    pub(super) fn of(accept: &str) -> Dialect {
        if accept.contains("application/openmetrics-text") { Dialect::OpenMetrics } else { Dialect::Text }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Dialect::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Dialect::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The page.
    pub(super) fn write(self, registry: &Registry) -> Result<String, fmt::Error> {
        let mut page = String::with_capacity(64 * 1024);
        text::encode(&mut page, registry)?;
        Ok(if self == Dialect::Text { as_text(&page) } else { page })
    }
}

/// OpenMetrics as the older format: there a counter's family has the name of its series, and there is no end mark.
fn as_text(page: &str) -> String {
    let mut text = String::with_capacity(page.len() + 4096);
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let is_counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let counts = is_counter(line)
            || (line.starts_with("# HELP ") && lines.peek().is_some_and(|next| is_counter(next)));
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "EOF"] | ["#", "UNIT", ..] => continue,
            ["#", what, name, rest] if counts => text.push_str(&format!("# {what} {name}_total {rest}")),
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_the_same_name_everywhere_in_the_older_format() {
        let page = "# HELP a_b Some help.\n# TYPE a_b counter\na_b_total{c=\"# EOF\"} 1\n\
                    # HELP d More help.\n# TYPE d gauge\nd 2\n# EOF\n";
        assert_eq!(
            as_text(page),
            "# HELP a_b_total Some help.\n# TYPE a_b_total counter\na_b_total{c=\"# EOF\"} 1\n\
             # HELP d More help.\n# TYPE d gauge\nd 2\n"
        );
    }

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Dialect::of(prometheus), Dialect::OpenMetrics);
        assert_eq!(Dialect::of("*/*"), Dialect::Text);
        assert_eq!(Dialect::of(""), Dialect::Text);
    }
}
