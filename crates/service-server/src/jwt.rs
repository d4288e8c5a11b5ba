//! The keys of tokens, from configuration.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use service_http::{Algorithm, Tokens};

use crate::cli::{Jwt, JwtAlgorithm};
use crate::failure::{Failure, chain};

/// The environment variable that holds the secret.
const SECRET: &str = "SERVICE_JWT_SECRET";

/// The largest key file that is read: many times what any key needs.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// Tokens as configured.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn tokens(jwt: &Jwt) -> Result<Tokens, Failure> {
    tokens_with(jwt, std::env::var_os(SECRET))
}

fn tokens_with(jwt: &Jwt, secret: Option<OsString>) -> Result<Tokens, Failure> {
    if secret.is_some() && jwt.jwt_secret_file.is_some() {
        return Err(Failure::configuration(format!(
            "{SECRET} and SERVICE_JWT_SECRET_FILE (or --jwt-secret-file) are both set; set one of them"
        )));
    }
    let tokens = match jwt.jwt_algorithm {
        JwtAlgorithm::Hs256 => hs256(jwt, secret),
        JwtAlgorithm::EdDsa => from_pem(jwt, Algorithm::EdDsa),
        JwtAlgorithm::Rs256 => from_pem(jwt, Algorithm::Rs256),
    }?;
    Ok(tokens.issuer(jwt.jwt_issuer.clone()).audience(jwt.jwt_audience.clone()))
}

fn hs256(jwt: &Jwt, secret: Option<OsString>) -> Result<Tokens, Failure> {
    if jwt.jwt_public_key_file.is_some() || jwt.jwt_private_key_file.is_some() {
        return Err(Failure::configuration(
            "key files are for the algorithms EdDSA and RS256, and the algorithm is HS256; set SERVICE_JWT_ALGORITHM",
        ));
    }
    let secret = match (secret, &jwt.jwt_secret_file) {
        (Some(secret), _) => secret.into_encoded_bytes(),
        (None, Some(path)) => read(path, "the token secret")?,
        (None, None) => {
            return Err(Failure::configuration(format!(
                "tokens have no secret; set {SECRET} or SERVICE_JWT_SECRET_FILE to one of at least 32 bytes"
            )));
        }
    };
    let secret = secret.strip_suffix(b"\n").unwrap_or(&secret);
    Tokens::hs256(secret).map_err(|error| Failure::configuration(chain(&error)))
}

fn from_pem(jwt: &Jwt, algorithm: Algorithm) -> Result<Tokens, Failure> {
    let public = jwt.jwt_public_key_file.as_deref().ok_or_else(|| {
        Failure::configuration("tokens have no public key; set SERVICE_JWT_PUBLIC_KEY_FILE to a PEM file")
    })?;
    let public = read(public, "the public key")?;
    let private =
        jwt.jwt_private_key_file.as_deref().map(|path| read(path, "the private key")).transpose()?;
    Tokens::from_pem(algorithm, &public, private.as_deref())
        .map_err(|error| Failure::configuration(chain(&error)))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    let fault = |fault: &dyn std::fmt::Display| {
        Failure::configuration(format!("cannot read {what} from `{}`: {fault}", path.display()))
    };
    let metadata = fs::metadata(path).map_err(|error| fault(&error))?;
    if metadata.len() > MAX_KEY_FILE_BYTES {
        return Err(fault(&"the file is too large to hold a key"));
    }
    fs::read(path).map_err(|error| fault(&error))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use service_core::{Principal, Timestamp};
    use tempfile::NamedTempFile;

    use super::*;

    const SECRET_TEXT: &str = "0123456789abcdef0123456789abcdef";

    fn jwt() -> Jwt {
        Jwt {
            jwt_algorithm: JwtAlgorithm::Hs256,
            jwt_secret_file: None,
            jwt_public_key_file: None,
            jwt_private_key_file: None,
            jwt_issuer: "service-registry".into(),
            jwt_audience: "service-registry".into(),
        }
    }

    fn file(content: &[u8]) -> NamedTempFile {
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(content).expect("write");
        file
    }

    fn refusal(jwt: &Jwt, secret: Option<&str>) -> String {
        match tokens_with(jwt, secret.map(OsString::from)) {
            Err(Failure::Configuration(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// Whether two signers have one secret.
    fn agree(left: &Tokens, right: &Tokens) -> bool {
        let principal =
            Principal { organization: "acme".parse().expect("an id"), user: "alice".parse().expect("an id") };
        let hour = std::time::Duration::from_secs(3600);
        let (token, _) = left.sign(&principal, Timestamp::UNIX_EPOCH, hour).expect("a token");
        right.verify(&token, Timestamp::UNIX_EPOCH).is_ok()
    }

    #[test]
    fn one_trailing_newline_is_not_part_of_the_secret_and_a_second_is() {
        let plain = tokens_with(&jwt(), Some(SECRET_TEXT.into())).expect("tokens");
        let from_file = |content: String| {
            let file = file(content.as_bytes());
            tokens_with(&Jwt { jwt_secret_file: Some(file.path().into()), ..jwt() }, None).expect("tokens")
        };
        assert!(agree(&plain, &from_file(SECRET_TEXT.into())));
        assert!(agree(&plain, &from_file(format!("{SECRET_TEXT}\n"))));
        assert!(!agree(&plain, &from_file(format!("{SECRET_TEXT}\n\n"))));
        assert!(!agree(&plain, &from_file(format!("{SECRET_TEXT} "))));
    }

    #[test]
    fn a_secret_is_needed_once_and_long_enough() {
        assert!(refusal(&jwt(), None).contains("no secret"));
        assert!(refusal(&jwt(), Some("short")).contains("at least 32 bytes"));
        let padded = format!("{}\n", &SECRET_TEXT[1..]);
        assert!(refusal(&jwt(), Some(&padded)).contains("at least 32 bytes"), "31 bytes and a newline");
        let file = file(SECRET_TEXT.as_bytes());
        let both = Jwt { jwt_secret_file: Some(file.path().into()), ..jwt() };
        assert!(refusal(&both, Some(SECRET_TEXT)).contains("both"));
        let absent = Jwt { jwt_secret_file: Some("/nowhere/secret".into()), ..jwt() };
        assert!(refusal(&absent, None).contains("`/nowhere/secret`"));
    }

    #[test]
    fn key_files_and_algorithms_belong_together() {
        let no_key = Jwt { jwt_algorithm: JwtAlgorithm::EdDsa, ..jwt() };
        assert!(refusal(&no_key, None).contains("no public key"));
        let file = file(b"not a key");
        let wrong_key = Jwt { jwt_public_key_file: Some(file.path().into()), ..no_key };
        assert!(refusal(&wrong_key, None).contains("public key"));
        let forgotten = Jwt { jwt_algorithm: JwtAlgorithm::Hs256, ..wrong_key };
        assert!(refusal(&forgotten, Some(SECRET_TEXT)).contains("SERVICE_JWT_ALGORITHM"));
    }
}
