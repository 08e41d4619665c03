//! Guessing: thousands of passwords for one account, and one password for many accounts. Every guess is refused, the
//! account and the address are shut out after a few, and who comes from elsewhere signs in as ever.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};
use doorstep_core::rights::Role;
use rand::RngExt;
use serde_json::{Value, json};

use super::ground::Ground;
use super::{Figures, Options};
use crate::town::routes;

const REFUSALS: &str = "SELECT count(*) FROM audit_entries WHERE outcome = 'refused'";

/// Someone who tries from one address of this machine.
struct Guesser {
    client: reqwest::Client,
    url: String,
}

impl Guesser {
    fn at(ground: &Ground, last: u8) -> anyhow::Result<Self> {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        Ok(Self {
            client: reqwest::Client::builder().local_address(address).build()?,
            url: format!("{}{}", ground.server.url(), routes::SIGN_IN),
        })
    }

    /// Status, and the code of the refusal.
    async fn guess(&self, login: &str, password: &str) -> anyhow::Result<(u16, String)> {
        let input = json!({ "login": login, "password": password });
        let answer = self.client.post(&self.url).json(&input).send().await?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or_default();
        Ok((status, code.to_owned()))
    }
}

/// The row `guessing`.
pub(super) async fn play(options: &Options, ground: &mut Ground) -> anyhow::Result<Figures> {
    let mut rng = options.chance("guessing");
    let mut figures = Figures::default();
    let area = ground.area.to_string();
    let victim = ground
        .administrators
        .areas
        .appoint("victim", "被猜的人", Role::Collector, &area)
        .await?;
    let before = ground.number(REFUSALS).await?;

    let guesser = Guesser::at(ground, 2)?;
    let guesses = options.count(120, 8_000);
    let mut locked_after = None;
    for number in 1..=guesses {
        let password = format!("Guess-{}-wrong", rng.random::<u32>());
        let (status, code) = guesser.guess(&victim.login, &password).await?;
        if locked_after.is_none() && status != 401 {
            locked_after = Some(number);
        }
        figures.fault(refused(status, &code, number));
    }
    let locked_after = locked_after.context("the account was never locked")?;
    figures.fault(if locked_after <= 6 {
        Ok(())
    } else {
        Err(format!("locked only after {locked_after} guesses"))
    });
    // Locked for everyone, the right password included: otherwise the lock would tell when it was guessed.
    let (status, code) = Guesser::at(ground, 1)?
        .guess(&victim.login, &victim.password)
        .await?;
    figures.fault(refused(status, &code, 0));

    let sprayer = Guesser::at(ground, 3)?;
    let accounts = options.count(70, 2_000);
    let mut shut_out = 0;
    for number in 0..accounts {
        let login = if number.is_multiple_of(10) {
            ground.neighbour.login.clone()
        } else {
            format!("someone.{number}")
        };
        let (status, code) = sprayer.guess(&login, "Spring-2026-sun").await?;
        shut_out += u64::from(code == "too_many_tries");
        figures.fault(refused(status, &code, number));
    }
    figures.fault(if shut_out + 60 >= accounts {
        Ok(())
    } else {
        Err(format!(
            "only {shut_out} of {accounts} were shut out by address"
        ))
    });
    // Everyone else notices nothing.
    let (status, code) = Guesser::at(ground, 1)?
        .guess(&ground.supervisor.login, &ground.supervisor.password)
        .await?;
    figures.fault(if status == 200 {
        Ok(())
    } else {
        Err(format!("the supervisor could not sign in: {status} {code}"))
    });
    ensure!(
        ground.number(REFUSALS).await? > before,
        "no refusal is in the audit log"
    );
    figures.fault(ground.is_sound().await);
    figures.note = format!(
        "locked at guess {locked_after}; {shut_out} of {accounts} sprayed shut out by address"
    );
    Ok(figures)
}

fn refused(status: u16, code: &str, number: u64) -> Result<(), String> {
    match status {
        401 | 403 | 423 | 429 => Ok(()),
        _ => Err(format!("guess {number}: {status} {code}")),
    }
}
