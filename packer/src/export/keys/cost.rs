//! What it costs to open an encrypted key.

use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};

/// The most memory that scrypt may take for a key, in bytes. openssl makes keys of 16 MiB.
const MOST_SCRYPT: u64 = 256 << 20;
/// The most rounds of PBKDF2. openssl makes keys of 2,048.
const MOST_ROUNDS: u32 = 10_000_000;

/// Refuses an encrypted key that would take too much memory or time, before anybody is asked for a
/// pass phrase.
pub(super) fn check_cost(pem: &str) -> Result<(), &'static str> {
    let damaged = "is no encrypted secret key in PKCS#8 PEM";
    let (_, document) = SecretDocument::from_pem(pem).map_err(|_| damaged)?;
    let key = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| damaged)?;
    let sound = match key.encryption_algorithm.pbes2().map(|scheme| &scheme.kdf) {
        Some(Kdf::Scrypt(cost)) => {
            let memory = cost.cost_parameter.checked_mul(128 * u64::from(cost.block_size));
            memory.is_some_and(|memory| memory <= MOST_SCRYPT) && cost.parallelization <= 4
        }
        Some(Kdf::Pbkdf2(cost)) => cost.iteration_count <= MOST_ROUNDS,
        _ => {
            return Err(
                "is encrypted in another way than by scrypt or PBKDF2; encrypt it again, with \
                 `openssl pkcs8 -topk8`",
            );
        }
    };
    if sound {
        Ok(())
    } else {
        Err("asks for more than 256 MiB or 10,000,000 rounds to be opened; encrypt the key again \
             with fewer")
    }
}
