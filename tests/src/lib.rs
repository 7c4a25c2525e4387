//! Black-box tests, simulation, interoperability and benchmarks.
