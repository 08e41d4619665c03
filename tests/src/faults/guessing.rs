//! Guessing: thousands of passwords for one account, one password for many accounts from one address, and for a few from
//! many addresses. Every guess is refused, the account and the address are shut out after a few, who comes from elsewhere
//! signs in as ever, and so does whom the administrator unlocks.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};
use doorstep_core::rights::Role;
use rand::RngExt;
use serde_json::{Value, json};

use super::ground::Ground;
use super::{Figures, Options};
use crate::town::routes;

/// Addresses of this machine from here on are those that many try from.
const MANY: u8 = 4;
/// How often each address tries each account: in all more than lock it, and fewer than shut an address out.
const TURNS: u64 = 2;
/// Where nobody guessed.
const ELSEWHERE: u8 = 254;

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
    let guesses = options.count(120, 10_000);
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
    let (accounts_tried, locked) = spread(options, ground, &mut figures).await?;
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
        "locked at guess {locked_after}; {shut_out} of {accounts} sprayed from one address shut out by address; {locked} \
            of {accounts_tried} accounts tried from many addresses locked, and unlocked"
    );
    Ok(figures)
}

/// Guesses at a few accounts from many addresses, none of which guesses often enough to be shut out. Each account is locked
/// all the same; the administrator unlocks it, and whose it is signs in. Gives how many there were, and were locked.
async fn spread(
    options: &Options,
    ground: &Ground,
    figures: &mut Figures,
) -> anyhow::Result<(usize, usize)> {
    let area = ground.area.to_string();
    let giver = &ground.administrators.areas;
    let mut people = Vec::new();
    for number in 0..options.count(3, 20) {
        let login = format!("tried.{number}");
        people.push(
            giver
                .appoint(&login, "被试的人", Role::Collector, &area)
                .await?,
        );
    }
    let addresses = u8::try_from(options.count(5, 50))?;
    for turn in 0..TURNS {
        for last in MANY..MANY + addresses {
            let guesser = Guesser::at(ground, last)?;
            for person in &people {
                let password = format!("Winter-2026-snow-{turn}");
                let (status, code) = guesser.guess(&person.login, &password).await?;
                figures.fault(refused(status, &code, u64::from(last)));
            }
        }
    }
    let elsewhere = Guesser::at(ground, ELSEWHERE)?;
    let mut locked = 0;
    for person in &people {
        let (status, code) = elsewhere.guess(&person.login, &person.password).await?;
        locked += usize::from(code == "account_locked");
        figures.fault(match code.as_str() {
            "account_locked" => Ok(()),
            _ => Err(format!("{} is not locked: {status} {code}", person.login)),
        });
        let unlock = format!("{}/{}/unlock", routes::USERS, person.id);
        giver.api.post(&unlock, &json!({})).await?;
        let (status, code) = elsewhere.guess(&person.login, &person.password).await?;
        figures.fault(match status {
            200 => Ok(()),
            _ => Err(format!("{} unlocked: {status} {code}", person.login)),
        });
    }
    Ok((people.len(), locked))
}

fn refused(status: u16, code: &str, number: u64) -> Result<(), String> {
    match status {
        401 | 403 | 423 | 429 => Ok(()),
        _ => Err(format!("guess {number}: {status} {code}")),
    }
}
