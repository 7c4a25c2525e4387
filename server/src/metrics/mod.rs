//! What is counted and measured, for Prometheus.

pub mod latency;
