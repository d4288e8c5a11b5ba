//! Bearer tokens: JSON web tokens that say who acts.
//!
//! The algorithm comes from configuration, never from the token. Time is passed in. A token is accepted only if every claim
//! that the registry relies on is there and right; the library is trusted with the signature alone.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, TokenData, Validation, decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use service_core::{OrganizationId, Principal, Timestamp, UserId};

/// The fewest bytes a secret has.
const MIN_SECRET_BYTES: usize = 32;
/// The longest token that is looked at.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The issuer and the audience, unless others are set.
const SERVICE_REGISTRY: &str = "service-registry";
/// How far the clock of whoever issued a token may be ahead of ours.
const CLOCK_SKEW_SECONDS: f64 = 60.0;
const MICROSECONDS: i64 = 1_000_000;

/// How tokens are signed with a pair of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `EdDSA`, with Ed25519 keys.
    EdDsa,
    /// `RS256`.
    Rs256,
}

/// Keys cannot be used, or a token cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The secret is too short to be safe.
    #[error("the token secret must have at least {MIN_SECRET_BYTES} bytes")]
    ShortSecret,
    /// A key is not the PEM of a key for the algorithm.
    #[error("the {which} key is not a PEM key for this algorithm")]
    InvalidKey {
        /// `public` or `private`.
        which: &'static str,
        /// What the library says.
        source: jsonwebtoken::errors::Error,
    },
    /// A key of RSA whose size is not one that is safe, and that can be used.
    #[error("the public key is not an RSA key of 2048 to 4096 bits")]
    RsaKeySize,
    /// What the private key signs, the public key does not verify.
    #[error("the private key does not belong to the public key")]
    KeysDiffer,
    /// A further key to accept is accepted already.
    #[error("the key is accepted already")]
    SameKey,
    /// There is no private key.
    #[error("tokens can be verified but not signed: there is no private key")]
    NoPrivateKey,
    /// The token would expire outside of the years that time can be told in.
    #[error("the token would expire too far from now")]
    Lifetime,
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

/// A token that is not accepted, and why, in words that may be shown to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidToken(&'static str);

/// Verifies bearer tokens and, with a secret or a private key, signs them.
#[derive(Clone)]
pub struct Tokens {
    algorithm: jsonwebtoken::Algorithm,
    /// Our own key, then the further ones.
    verifying: Vec<DecodingKey>,
    signing: Option<EncodingKey>,
    issuer: String,
    audience: String,
}

#[derive(Serialize)]
struct SignedClaims<'a> {
    sub: &'a UserId,
    org: &'a OrganizationId,
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    org: OrganizationId,
    iss: String,
    aud: Audience,
    exp: f64,
    iat: f64,
    nbf: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn includes(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl Tokens {
    /// Tokens signed and verified with one secret (`HS256`).
    ///
    /// # Errors
    /// When the secret has fewer than 32 bytes.
    pub fn hs256(secret: &[u8]) -> Result<Self, TokensError> {
        let algorithm = jsonwebtoken::Algorithm::HS256;
        let verifying = verifying_key(algorithm, secret)?;
        Ok(Self::with_keys(algorithm, verifying, Some(EncodingKey::from_secret(secret))))
    }

    /// Tokens verified with a public key and, if there is a private one, signed with that.
    ///
    /// # Errors
    /// When a key is no PEM of a key for this algorithm, an RSA key has fewer than 2048 bits or more than 4096, or the two do not
    /// belong together.
    pub fn from_pem(
        algorithm: Algorithm,
        public_pem: &[u8],
        private_pem: Option<&[u8]>,
    ) -> Result<Self, TokensError> {
        let (algorithm, private) = match algorithm {
            Algorithm::EdDsa => (jsonwebtoken::Algorithm::EdDSA, private_pem.map(EncodingKey::from_ed_pem)),
            Algorithm::Rs256 => (jsonwebtoken::Algorithm::RS256, private_pem.map(EncodingKey::from_rsa_pem)),
        };
        let public = verifying_key(algorithm, public_pem)?;
        let private =
            private.transpose().map_err(|source| TokensError::InvalidKey { which: "private", source })?;
        let tokens = Self::with_keys(algorithm, public, private);
        tokens.keys_belong_together()?;
        Ok(tokens)
    }

    fn with_keys(
        algorithm: jsonwebtoken::Algorithm,
        verifying: DecodingKey,
        signing: Option<EncodingKey>,
    ) -> Self {
        let issuer = SERVICE_REGISTRY.to_owned();
        Self { algorithm, verifying: vec![verifying], signing, audience: issuer.clone(), issuer }
    }

    /// Whoever starts with keys that do not match must learn it then, not from the first client who signs in.
    fn keys_belong_together(&self) -> Result<(), TokensError> {
        let Some(signing) = &self.signing else { return Ok(()) };
        let token = encode(&Header::new(self.algorithm), &serde_json::json!({}), signing)
            .map_err(|source| TokensError::InvalidKey { which: "private", source })?;
        self.decode::<serde_json::Value>(&token).map(|_| ()).map_err(|_| TokensError::KeysDiffer)
    }

    /// Also accepts what a further key has signed, with the same algorithm, issuer and audience: a secret, or a public key in PEM, as
    /// the algorithm has it. So a key can be replaced while tokens of both are in use. Nothing is ever signed with it.
    ///
    /// # Errors
    /// When it is no such key, or one that is accepted already.
    pub fn also_accepting(mut self, key: &[u8]) -> Result<Self, TokensError> {
        let key = verifying_key(self.algorithm, key)?;
        let bytes = |key: &DecodingKey| key.try_get_as_bytes().map(<[u8]>::to_vec).ok();
        if self.verifying.iter().any(|known| bytes(known) == bytes(&key)) {
            return Err(TokensError::SameKey);
        }
        self.verifying.push(key);
        Ok(self)
    }

    /// Issues and expects tokens of this issuer, instead of `service-registry`.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = issuer.into();
        self
    }

    /// Issues and expects tokens for this audience, instead of `service-registry`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = audience.into();
        self
    }

    /// Whether tokens can be signed, and not only verified.
    pub fn can_sign(&self) -> bool {
        self.signing.is_some()
    }

    /// A token for a principal that holds from `now` for `ttl`, in whole seconds, and the time it expires.
    ///
    /// # Errors
    /// When there is no private key, or signing fails.
    pub fn sign(
        &self,
        principal: &Principal,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<(String, Timestamp), TokensError> {
        let signing = self.signing.as_ref().ok_or(TokensError::NoPrivateKey)?;
        let iat = now.as_microseconds().div_euclid(MICROSECONDS);
        let exp = i64::try_from(ttl.as_secs()).ok().and_then(|ttl| iat.checked_add(ttl));
        let exp = exp.ok_or(TokensError::Lifetime)?;
        let expires_at = exp.checked_mul(MICROSECONDS).map(Timestamp::from_microseconds);
        let Some(Ok(expires_at)) = expires_at else { return Err(TokensError::Lifetime) };
        let claims = SignedClaims {
            sub: &principal.user,
            org: &principal.organization,
            iss: &self.issuer,
            aud: &self.audience,
            iat,
            exp,
        };
        let token = encode(&Header::new(self.algorithm), &claims, signing).map_err(TokensError::Signing)?;
        Ok((token, expires_at))
    }

    /// The principal that a token speaks for at `now`.
    ///
    /// # Errors
    /// When the token is not one of ours, or does not hold now.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, InvalidToken> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(InvalidToken("the token is too long"));
        }
        let decoded = self.decode::<Claims>(token).map_err(|_| InvalidToken("the token is not valid"))?;
        // Extensions that a signer declares critical must be understood (RFC 7515, 4.1.11), and none is known here.
        if decoded.header.crit.is_some() {
            return Err(InvalidToken("the token has critical headers that are not known"));
        }
        let claims = decoded.claims;
        if claims.iss != self.issuer {
            return Err(InvalidToken("the token has another issuer"));
        }
        if !claims.aud.includes(&self.audience) {
            return Err(InvalidToken("the token is for another audience"));
        }
        #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit a double for 285 years")]
        let now = now.as_microseconds() as f64 / 1_000_000.0;
        if claims.exp <= now {
            return Err(InvalidToken("the token has expired"));
        }
        if claims.nbf.is_some_and(|nbf| now < nbf) {
            return Err(InvalidToken("the token does not hold yet"));
        }
        if claims.iat > now + CLOCK_SKEW_SECONDS {
            return Err(InvalidToken("the token was issued in the future"));
        }
        Ok(Principal { organization: claims.org, user: claims.sub })
    }

    /// Decodes what one of our keys has signed. All of them are tried: which one it was is nothing that a token could tell us.
    fn decode<T: DeserializeOwned>(&self, token: &str) -> Result<TokenData<T>, jsonwebtoken::errors::Error> {
        let validation = self.signature_alone();
        let mut outcome = Err(ErrorKind::InvalidSignature.into());
        for key in &self.verifying {
            outcome = decode(token, key, &validation);
            if !outcome.as_ref().is_err_and(|error| *error.kind() == ErrorKind::InvalidSignature) {
                break;
            }
        }
        outcome
    }

    /// What the library is asked to check: the signature, with our algorithm. Its own checks of time would use its own clock.
    fn signature_alone(&self) -> Validation {
        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation
    }
}

/// The key that verifies: a secret, or a public key in PEM.
fn verifying_key(algorithm: jsonwebtoken::Algorithm, key: &[u8]) -> Result<DecodingKey, TokensError> {
    let key = match algorithm {
        // The library would take an RSA key that is private for a public one, and then verify nothing with it.
        jsonwebtoken::Algorithm::RS256 if is_private(key) => Err(ErrorKind::InvalidKeyFormat.into()),
        jsonwebtoken::Algorithm::EdDSA => DecodingKey::from_ed_pem(key),
        jsonwebtoken::Algorithm::RS256 => DecodingKey::from_rsa_pem(key),
        _ if key.len() < MIN_SECRET_BYTES => return Err(TokensError::ShortSecret),
        _ => Ok(DecodingKey::from_secret(key)),
    };
    let key = key.map_err(|source| TokensError::InvalidKey { which: "public", source })?;
    if algorithm == jsonwebtoken::Algorithm::RS256 {
        rsa::check_size(&key)?;
    }
    Ok(key)
}

fn is_private(pem: &[u8]) -> bool {
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    pem.windows(LABEL.len()).any(|window| window == LABEL)
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tokens")
            .field("algorithm", &self.algorithm)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("can_sign", &self.can_sign())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod properties;
mod rsa;
#[cfg(test)]
mod tests;
