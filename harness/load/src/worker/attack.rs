//! The load as goose sees it: one scenario, a transaction for each step or one for all, as many users as asked for.
//!
//! goose starts the users and runs their transactions. When a user's turn comes, with which client a
//! request is sent and what is measured of it is in [`super::user`].

use std::sync::Arc;

use goose::{
    GooseAttack, GooseError,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario, Transaction, TransactionFunction},
};

use super::{
    shared::Shared,
    user::{Choice, turn},
};

/// Runs the users. It does not return unless something is wrong: they end with the process.
pub(super) async fn execute(shared: Arc<Shared>, name: &str, in_order: bool) -> Result<(), GooseError> {
    let mut scenario = Scenario::new(name);
    if in_order {
        // goose goes through a scenario's transactions in the order in which they were registered.
        for step in 0..shared.requests.steps.len() {
            scenario = scenario.register_transaction(transaction(&shared, Choice::Step(step)));
        }
    } else {
        // goose's own weights fix one order for each user, which it then repeats.
        scenario = scenario.register_transaction(transaction(&shared, Choice::Weighted));
    }
    GooseAttack::initialize_with_config(configuration(shared.users.len()))?
        // Otherwise each user gets a client of its own, which takes milliseconds to make and is not used.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())?
        .register_scenario(scenario)
        .execute()
        .await
        .map(drop)
}

fn transaction(shared: &Arc<Shared>, choice: Choice) -> Transaction {
    let shared = Arc::clone(shared);
    let function: TransactionFunction = Arc::new(move |user: &mut GooseUser| {
        let shared = Arc::clone(&shared);
        let index = user.weighted_users_index;
        Box::pin(async move {
            turn(shared, index, choice).await;
            Ok(())
        })
    });
    Transaction::new(function)
}

fn configuration(users: usize) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    // goose wants one; the steps have their own addresses.
    configuration.host = Some("http://127.0.0.1/".to_owned());
    configuration.users = Some(users);
    // All at once: they wait for the start, and then each for its own place in the ramp.
    configuration.increase_rate = Some("1000000".to_owned());
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.quiet = 2;
    configuration
}
