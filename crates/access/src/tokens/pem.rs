//! The public keys with which tokens are checked: of the kind, the curve and the size that an algorithm
//! needs. A key that is none of these would refuse every token, or let somebody make one.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    error::KeyRejected,
    rsa::PublicEncryptingKey,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use jsonwebtoken::{Algorithm, DecodingKey};

/// The key in a PEM file, with the algorithm that it is for; else what is wrong with it.
pub(super) fn public_key(pem: &str) -> Result<(Algorithm, DecodingKey), String> {
    if pem.contains("PRIVATE KEY") {
        return Err(
            "it is a private key; keep that where tokens are signed, and set its public one".to_owned()
        );
    }
    let pem = pem.as_bytes();
    if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
        check_rsa(bytes_of(&key)?)?;
        return Ok((Algorithm::RS256, key));
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        let on_curve = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes_of(&key)?);
        on_curve.map_err(|_| "it is on another curve than P-256, the one of ES256".to_owned())?;
        return Ok((Algorithm::ES256, key));
    }
    let key = DecodingKey::from_ed_pem(pem).map_err(|error| error.to_string())?;
    let sound = ParsedPublicKey::new(&ED25519, bytes_of(&key)?);
    sound.map_err(|_| "it is no key of Ed25519".to_owned())?;
    Ok((Algorithm::EdDSA, key))
}

fn bytes_of(key: &DecodingKey) -> Result<&[u8], String> {
    key.try_get_as_bytes().map_err(|error| error.to_string())
}

/// What a verification would refuse later: RSA with fewer than 2 048 bits, or more than 8 192.
fn check_rsa(key: &[u8]) -> Result<(), String> {
    let sized = || {
        let parsed = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)?;
        let whole: PublicKeyX509Der<'_> = parsed.as_der().map_err(KeyRejected::from)?;
        PublicEncryptingKey::from_der(whole.as_ref())
    };
    sized().map(|_| ()).map_err(|error| format!("it must be RSA of 2048 to 8192 bits ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDl9XqysqyI17k1Ci9DuGqY8pfn\n\
        ObxWsa/7RFa9SC1xeJps56sgO9WwpIW3/owqFt4jG5oJueFI2Pqng1n4zY958Lny\n\
        yoqYnXj81CrPRnMdZQAamGm01Avr9tmf7cjbGR4agIaIxktc3RDstLl0cIYXIYHu\n\
        /lLmp885MEwaL/4ADQIDAQAB\n\
        -----END PUBLIC KEY-----";
    const RSA_2048: &str = "-----BEGIN PUBLIC KEY-----\n\
        MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAqeqqGLpBznmiuEeJ8UNH\n\
        EAxoDbgIqTHfVi228NkAB8CAAoAOcWre6AJ4qFYDWcRyVWcR+bmeYLwHI4ernKnJ\n\
        sj7MpQZySaDOvE8egTUS8KvnYhsmywTIPkeX5dO9BUg99rVU/xlQ0sPybFi1RA/V\n\
        E+Vblh6Ssqc00R92yxUo7Ca6+MZAccz0mWEWhXaOOFsU+62MmcqDKE+MsfMMGQF/\n\
        2tFjkNK+Rzs675v5/rvn2pib5ce9I6LbnljwTrkbw9U+cbRy4DGBOD0n9SjsD4yD\n\
        scyKxr/2t0HL85OiBLc90HQS5Jy07Mesit6tWwsj/4DAxtKEoSqIIDsbpvNe/vN5\n\
        EwIDAQAB\n\
        -----END PUBLIC KEY-----";
    const P_256: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETCSlnvqv2r5EK4kRxutgh86OoyNs\n\
        oystYFnTdn6G0OtBmdAuPU4smMrr2Eq+ngD5NMI38nXVx3bMxNhrYz1pzA==\n\
        -----END PUBLIC KEY-----";
    const P_384: &str = "-----BEGIN PUBLIC KEY-----\n\
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEzSqRNguT5sb/CqveG1s1+n0dturCx73t\n\
        Vl+6HYJQ/6uSGHU0YEY/EFk0KX5VYvpsZeA0z6L1Y1uNao4jEMGuNW02mwuTLFWc\n\
        6Eu+CTbzcvBAF2MLcSEavjPInDr1ZAOf\n\
        -----END PUBLIC KEY-----";
    const SECP256K1: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEHIG3QtjgtpdGNGsLhIDJraG3xqO9IoRV\n\
        spUzC9p6fdAnv63mOi3OCSahsdfvSfY7vdDHG8aCTQEQ1WVkEsJItg==\n\
        -----END PUBLIC KEY-----";
    const ED25519_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAyMqOqVFT4oVGi5zQLAC7nHZM2lTND6OD7JaQs1GPHNY=\n\
        -----END PUBLIC KEY-----";
    const ED448: &str = "-----BEGIN PUBLIC KEY-----\n\
        MEMwBQYDK2VxAzoAH0/PBHGO8/77oidpmcENzhkqMfzLSPhCdOTgF/zM/k6NGm24\n\
        IcT/W1E1hO+xP0XODBgXzDo+TmGA\n\
        -----END PUBLIC KEY-----";
    const X25519: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VuAyEAkROMpSTrDFca7BsDA0TCz+hUyRcFYVjIXWRQvlPm6H8=\n\
        -----END PUBLIC KEY-----";

    #[test]
    fn a_key_is_for_the_algorithm_of_its_kind() {
        let algorithm = |pem| public_key(pem).map(|(algorithm, _)| algorithm);
        assert_eq!(algorithm(RSA_2048), Ok(Algorithm::RS256));
        assert_eq!(algorithm(P_256), Ok(Algorithm::ES256));
        assert_eq!(algorithm(ED25519_KEY), Ok(Algorithm::EdDSA));
    }

    #[test]
    fn a_key_of_the_wrong_size_curve_or_kind_is_refused() {
        for (pem, why) in [
            (RSA_1024, "2048 to 8192 bits"),
            (P_384, "another curve than P-256"),
            (SECP256K1, "another curve than P-256"),
            (ED448, ""),
            (X25519, ""),
            ("-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----", "it is a private key"),
            ("nonsense", ""),
            ("", ""),
        ] {
            let error = public_key(pem).map(|_| ()).expect_err(pem);
            assert!(error.contains(why), "{pem}: {error}");
        }
    }
}
