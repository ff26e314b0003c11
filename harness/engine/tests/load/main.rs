//! Loads with scripted workers: shell scripts that say what a worker says, and what none should say.

mod failures;
mod life;
mod prepare;
mod script;
