//! The keys of tokens, from configuration.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use service_http::{Algorithm, Tokens};

use crate::cli::{Jwt, JwtAlgorithm, SECRETS};
use crate::failure::{Failure, chain};

/// The largest key file that is read: many times what any key needs.
const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// Tokens as configured.
///
/// # Errors
/// What is wrong with the configuration.
pub(crate) fn tokens(jwt: &Jwt) -> Result<Tokens, Failure> {
    tokens_with(jwt, SECRETS.map(std::env::var_os))
}

/// Tokens as configured, with the values of the variables in [`SECRETS`].
fn tokens_with(jwt: &Jwt, [own, accepted]: [Option<OsString>; 2]) -> Result<Tokens, Failure> {
    let [variable, accepted_variable] = SECRETS;
    let own = Secret { variable, text: own, file: jwt.jwt_secret_file.as_deref() }.alone()?;
    let accepted =
        Secret { variable: accepted_variable, text: accepted, file: jwt.jwt_accepted_secret_file.as_deref() }
            .alone()?;
    let tokens = match jwt.jwt_algorithm {
        JwtAlgorithm::Hs256 => hs256(jwt, own, accepted),
        JwtAlgorithm::EdDsa => from_pem(jwt, Algorithm::EdDsa, &accepted),
        JwtAlgorithm::Rs256 => from_pem(jwt, Algorithm::Rs256, &accepted),
    }?;
    Ok(tokens.issuer(jwt.jwt_issuer.clone()).audience(jwt.jwt_audience.clone()))
}

/// A secret that is given by a variable or by a file.
struct Secret<'a> {
    variable: &'static str,
    text: Option<OsString>,
    file: Option<&'a Path>,
}

impl Secret<'_> {
    /// Not given by both.
    fn alone(self) -> Result<Self, Failure> {
        if self.text.is_some() && self.file.is_some() {
            let variable = self.variable;
            let flag = variable.trim_start_matches("SERVICE_").replace('_', "-").to_lowercase();
            return Err(Failure::configuration(format!(
                "{variable} and {variable}_FILE (or --{flag}-file) are both set; set one of them"
            )));
        }
        Ok(self)
    }

    fn is_given(&self) -> bool {
        self.text.is_some() || self.file.is_some()
    }

    /// The secret, if it is given. One trailing newline is not part of it.
    fn read(self, what: &str) -> Result<Option<Vec<u8>>, Failure> {
        let secret = match (self.text, self.file) {
            (Some(text), _) => text.into_encoded_bytes(),
            (None, Some(path)) => read(path, what)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(secret.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(secret)))
    }
}

fn hs256(jwt: &Jwt, own: Secret<'_>, accepted: Secret<'_>) -> Result<Tokens, Failure> {
    let key_files = [&jwt.jwt_public_key_file, &jwt.jwt_private_key_file, &jwt.jwt_accepted_public_key_file];
    if key_files.iter().any(|file| file.is_some()) {
        return Err(Failure::configuration(
            "key files are for the algorithms EdDSA and RS256, and the algorithm is HS256; set SERVICE_JWT_ALGORITHM",
        ));
    }
    let variable = own.variable;
    let secret = own.read("the token secret")?.ok_or_else(|| {
        Failure::configuration(format!(
            "tokens have no secret; set {variable} or {variable}_FILE to one of at least 32 bytes"
        ))
    })?;
    let tokens = Tokens::hs256(&secret).map_err(|error| Failure::configuration(chain(&error)))?;
    accepting(tokens, accepted.read("the accepted token secret")?, "SERVICE_JWT_ACCEPTED_SECRET")
}

fn from_pem(jwt: &Jwt, algorithm: Algorithm, accepted_secret: &Secret<'_>) -> Result<Tokens, Failure> {
    if accepted_secret.is_given() {
        return Err(Failure::configuration(format!(
            "{} is for the algorithm HS256; set SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE",
            accepted_secret.variable
        )));
    }
    let public = jwt.jwt_public_key_file.as_deref().ok_or_else(|| {
        Failure::configuration("tokens have no public key; set SERVICE_JWT_PUBLIC_KEY_FILE to a PEM file")
    })?;
    let public = read(public, "the public key")?;
    let private =
        jwt.jwt_private_key_file.as_deref().map(|path| read(path, "the private key")).transpose()?;
    let tokens = Tokens::from_pem(algorithm, &public, private.as_deref())
        .map_err(|error| Failure::configuration(chain(&error)))?;
    let accepted = jwt.jwt_accepted_public_key_file.as_deref();
    let accepted = accepted.map(|path| read(path, "the accepted public key")).transpose()?;
    accepting(tokens, accepted, "SERVICE_JWT_ACCEPTED_PUBLIC_KEY_FILE")
}

/// Also accepts the tokens of a further key, if there is one.
fn accepting(tokens: Tokens, key: Option<Vec<u8>>, variable: &str) -> Result<Tokens, Failure> {
    match key {
        Some(key) => tokens
            .also_accepting(&key)
            .map_err(|error| Failure::configuration(format!("{variable} cannot be used: {}", chain(&error)))),
        None => Ok(tokens),
    }
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
            jwt_accepted_secret_file: None,
            jwt_accepted_public_key_file: None,
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
        match tokens_with(jwt, [secret.map(OsString::from), None]) {
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
        let plain = tokens_with(&jwt(), [Some(SECRET_TEXT.into()), None]).expect("tokens");
        let from_file = |content: String| {
            let file = file(content.as_bytes());
            tokens_with(&Jwt { jwt_secret_file: Some(file.path().into()), ..jwt() }, [None, None])
                .expect("tokens")
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
