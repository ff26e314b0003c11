//! Runs over time: an index of the recorded runs, which can be rebuilt from their folders at any time; comparison of runs with
//! a noise band; retention.
