//! Standard addresses on a device: looking one up, and taking the one that a new house has.

use doorstep_core::standard_address::{Found, Nearness};
use doorstep_core::value::{Fields, Value};
use serde_json::json;

use super::{CliDevice, DirArgs};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Standard addresses shown beside one that is not in the base.
const NEAR: usize = 5;

#[derive(clap::Args, Debug)]
pub(crate) struct AddressesArgs {
    /// 地址，或其中一部分
    #[arg(value_name = "地址", required = true)]
    text: Vec<String>,
    /// 最多列多少条
    #[arg(long, value_name = "条数", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    dir: DirArgs,
}

pub(crate) fn addresses(args: &AddressesArgs, json: bool) -> Outcome {
    let found = args
        .dir
        .device()?
        .addresses(&args.text.join(" "), args.limit)?;
    if json {
        let items: Vec<_> = found.iter().map(plain).collect();
        output::json(&items);
        return Ok(());
    }
    if found.is_empty() {
        output::line("标准地址库里没有找到。可以照实填写地址，系统会作为新地址上报。");
        return Ok(());
    }
    show(&found);
    Ok(())
}

fn plain(found: &Found) -> serde_json::Value {
    json!({
        "code": found.standard.code, "address": found.standard.address, "nearness": found.nearness.code(),
    })
}

fn show(found: &[Found]) {
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|found| {
            let standard = found.standard.clone();
            let nearness = found.nearness.label().to_owned();
            vec![standard.code, standard.address, nearness]
        })
        .collect();
    output::table(&["标准地址编码", "标准地址", "相符"], &rows);
}

/// A new house's place in the address base: the code of the standard address that was written, or that was chosen by its
/// code alone; without one, the address goes up as it is, as a proposal.
pub(crate) fn settle(device: &CliDevice, fields: &mut Fields) -> Result<Place, Failure> {
    let text = |fields: &Fields, key: &str| {
        let text = fields.get(key).and_then(Value::as_text);
        text.map(str::to_owned)
    };
    match (
        text(fields, "address"),
        text(fields, "standard_address_code"),
    ) {
        (Some(_), Some(_)) | (None, None) => Ok(Place::AsGiven),
        (None, Some(code)) => {
            let standard = device.standard_address(&code)?.ok_or_else(|| {
                Failure::usage(
                    "no_such_address",
                    format!("本机的标准地址库里没有编码 {code}：请核对编码，或直接填写房屋地址"),
                )
            })?;
            fields.insert("address".to_owned(), standard.address.into());
            Ok(Place::Standard(code))
        }
        (Some(address), None) => {
            let found = device.addresses(&address, NEAR)?;
            match found.first() {
                Some(first) if first.nearness == Nearness::Same => {
                    let code = first.standard.code.clone();
                    fields.insert("standard_address_code".to_owned(), code.clone().into());
                    Ok(Place::Standard(code))
                }
                _ => Ok(Place::Proposed(found)),
            }
        }
    }
}

/// What became of a new house's address.
pub(crate) enum Place {
    /// Nothing was to be done.
    AsGiven,
    /// It is the standard address of this code.
    Standard(String),
    /// The base does not have it; these are near.
    Proposed(Vec<Found>),
}

impl Place {
    /// What a program reads.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Self::AsGiven => serde_json::Value::Null,
            Self::Standard(code) => json!({ "standard": code }),
            Self::Proposed(near) => {
                let near: Vec<_> = near.iter().map(plain).collect();
                json!({ "proposed": true, "near": near })
            }
        }
    }

    /// Says it to a collector.
    pub(crate) fn say(&self) {
        match self {
            Self::AsGiven => {}
            Self::Standard(code) => output::line(&format!("标准地址编码：{code}")),
            Self::Proposed(near) => {
                output::line("标准地址库里没有这个地址，已作为新地址上报，等待核定。");
                if !near.is_empty() {
                    output::line("相近的标准地址（如果就是其中之一，请用 set 填写标准地址编码）：");
                    show(near);
                }
            }
        }
    }
}
