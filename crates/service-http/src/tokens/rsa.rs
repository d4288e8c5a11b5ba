//! How long an RSA key is.

use jsonwebtoken::DecodingKey;
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::traits::PublicKeyParts as _;

use super::TokensError;

/// The fewest bits of a key: shorter ones are not safe any more (RFC 7518, 3.3).
const MIN_BITS: usize = 2048;

/// Checks that a key can be used and is long enough.
///
/// # Errors
/// When it is shorter than [`MIN_BITS`], or longer than what signatures are verified with: nobody's token would be accepted.
pub(super) fn check_size(public: &DecodingKey) -> Result<(), TokensError> {
    let der = public.try_get_as_bytes().map_err(|_| TokensError::RsaKeySize)?;
    let key = RsaPublicKey::from_pkcs1_der(der).map_err(|_| TokensError::RsaKeySize)?;
    if key.n().bits() < MIN_BITS { Err(TokensError::RsaKeySize) } else { Ok(()) }
}
