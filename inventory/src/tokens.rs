//! Creates, lists and revokes API tokens in the store, also while the server runs.

use cli::Table;
use config::Config;
use inventory_api::UnixMs;
use inventory_api::machine::Actor;
use service::core::Clock;
use service::secret;
use store::{Store, TokenRow};
use words::text::{ago, timestamp};

use crate::data_dir::{make_data_dir, store_file};
use crate::error::AppError;

/// Rights and lifetime of a new token.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenTerms {
    /// Allow only reading.
    pub read_only: bool,
    /// Days until it expires; `None`: it never expires.
    pub days: Option<u32>,
}

/// Creates a token and returns it; only its digest is stored. Works while the server runs.
///
/// # Errors
/// The name is taken or invalid, or the store cannot be opened or written.
pub async fn create(config: &Config, name: &str, terms: TokenTerms) -> Result<String, AppError> {
    with_store(config, async |store| {
        add_token(store, name, terms, &Clock::system()).await
    })
    .await
}

/// All tokens, including expired and revoked ones. Works while the server runs.
///
/// # Errors
/// The store cannot be opened or read.
pub async fn list(config: &Config) -> Result<Vec<TokenRow>, AppError> {
    with_store(config, async |store| Ok(store.tokens().await?)).await
}

/// Revokes a token: requests with it are refused from now on, and its open streams end within seconds. Works
/// while the server runs.
///
/// # Errors
/// No unrevoked token has this name, or the store cannot be opened or written.
pub async fn revoke(config: &Config, name: &str) -> Result<(), AppError> {
    let revoked = with_store(config, async |store| {
        let mut change = store.begin().await?;
        let revoked = change.revoke_token(name, Clock::system().now()).await?;
        change.commit().await?;
        Ok(revoked)
    });
    if revoked.await? {
        return Ok(());
    }
    Err(AppError::TokenName(format!(
        "there is no unrevoked token named {name:?}: `slipway token list` shows all"
    )))
}

/// The tokens as a table for `slipway token list`.
pub fn table(tokens: &[TokenRow], now: UnixMs) -> String {
    if tokens.is_empty() {
        return "No token yet: the server makes the first one when it starts.\n".to_owned();
    }
    let mut rows = Table::new(&["NAME", "MAY", "STATE", "MADE", "LAST USED"]);
    for token in tokens {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", ago(at, now)),
            (None, Some(end)) if end <= now => format!("expired {}", timestamp(end)),
            (None, Some(end)) => format!("good until {}", timestamp(end)),
            (None, None) => "good".to_owned(),
        };
        let may = if token.read_only { "read" } else { "do all" };
        let used = token.used_at.map_or("never".to_owned(), |at| ago(at, now));
        rows.row([token.name.as_str(), may, &state, &timestamp(token.made_at), &used]);
    }
    rows.text(0)
}

async fn with_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Store) -> Result<T, AppError>,
) -> Result<T, AppError> {
    make_data_dir(&config.data_dir)?;
    let store = Store::open(&store_file(&config.data_dir)).await?;
    let done = work(&store).await;
    store.close().await;
    done
}

async fn add_token(store: &Store, name: &str, terms: TokenTerms, clock: &Clock) -> Result<String, AppError> {
    let good = (1..=40).contains(&name.len())
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'@'));
    // The history uses these names for actors that are not tokens.
    if !good || !matches!(Actor::from(name), Actor::Token(_)) {
        let reserved: Vec<_> = Actor::ALL.iter().map(Actor::as_str).collect();
        return Err(AppError::TokenName(format!(
            "{name:?} is not a token name: use 1 to 40 letters, digits, '-', '_', '.', '@'; reserved: {}",
            reserved.join(", ")
        )));
    }
    let token = secret::fresh();
    let now = clock.now();
    let row = TokenRow {
        name: name.to_owned(),
        read_only: terms.read_only,
        made_at: now,
        expires_at: terms.days.map(|days| now.plus_seconds(u64::from(days) * 86_400)),
        used_at: None,
        revoked_at: None,
    };
    let mut change = store.begin().await?;
    if !change.add_token(&row, &secret::digest(&token)).await? {
        return Err(AppError::TokenName(format!(
            "a token named {name:?} exists or was revoked: choose another name, because the history shows it"
        )));
    }
    change.commit().await?;
    Ok(token)
}

pub(crate) async fn first(store: &Store, clock: &Clock) -> Result<Option<String>, AppError> {
    if store.tokens().await?.is_empty() {
        return Ok(Some(
            add_token(store, "admin", TokenTerms::default(), clock).await?,
        ));
    }
    Ok(None)
}
