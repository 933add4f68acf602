//! Signs of money and percent around a number: they do not matter to its value.

/// Currencies by their codes (ISO 4217).
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN \
    BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ \
    GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD \
    LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR \
    PLN PYG QAR RMB RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY \
    TTD TWD TZS UAH UGX USD UYU UZS VES VND VNĐ VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL BTC ETH USDT";
/// Currencies by what people write.
const WORDS: [&str; 34] = [
    "kr", "kr.", "Kr", "Kr.", "Rs", "Rs.", "Fr", "Fr.", "SFr.", "RM", "Rp", "Rp.", "zł", "Kč", "Ft", "lei",
    "lv", "лв", "лв.", "руб", "руб.", "р.", "грн", "đ", "Đ", "vnđ", "vnd", "đồng", "dong", "TL", "元", "円",
    "원", "kn",
];

/// Without one sign of money or percent on each side.
pub(super) fn bare(text: &str) -> &str {
    let text = without_prefix(text).map_or(text, str::trim_start);
    without_suffix(text).map_or(text, str::trim_end)
}

/// The sign beside a number, such as `$` or `%`; empty without one.
pub(crate) fn unit(cell: &str) -> &str {
    let around = |c: char| c.is_whitespace() || matches!(c, '-' | '+' | '−' | '–' | '(' | ')' | '.' | ',');
    let first = cell.find(|c: char| c.is_ascii_digit()).unwrap_or(cell.len());
    let last = cell.rfind(|c: char| c.is_ascii_digit()).map_or(cell.len(), |place| place + 1);
    let [before, after] = [&cell[..first], &cell[last..]].map(|part| part.trim_matches(around));
    if before.is_empty() { after } else { before }
}

fn without_prefix(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    if first.is_ascii_digit() {
        return None;
    }
    if is_sign(first) {
        return Some(&text[first.len_utf8()..]);
    }
    let letters = text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(letters);
    // `R$`, `US$`, `NT$`.
    if let Some(rest) = rest.strip_prefix('$').filter(|_| letters <= 3) {
        return Some(rest);
    }
    match rest.strip_prefix('.') {
        Some(after) if WORDS.contains(&&text[..=letters]) => Some(after),
        _ => is_currency(word).then_some(rest),
    }
}

fn without_suffix(text: &str) -> Option<&str> {
    let last = text.chars().next_back()?;
    if last.is_ascii_digit() {
        return None;
    }
    if is_sign(last) {
        return Some(&text[..text.len() - last.len_utf8()]);
    }
    let body = text.strip_suffix('.').unwrap_or(text);
    let begins = body.rfind(|c: char| !c.is_alphabetic())?;
    let begins = begins + body[begins..].chars().next().map_or(1, char::len_utf8);
    let word = &text[begins..];
    is_currency(word).then(|| &text[..begins])
}

fn is_currency(word: &str) -> bool {
    const BYTES_MAX: usize = 10;
    if word.is_empty() || word.len() > BYTES_MAX {
        return false;
    }
    let is_code = || CODES.split_ascii_whitespace().any(|code| code == word);
    WORDS.contains(&word) || (word.starts_with(|c: char| c.is_ascii_uppercase()) && is_code())
}

/// Percent, and the signs of money that Unicode knows (category Sc).
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '%' | '$' | '¢'..='¥' | '֏' | '؋' | '৲' | '৳' | '૱' | '௹' | '฿' | '៛' | '\u{20a0}'..='\u{20cf}' | '﷼' | '﹩'
            | '＄' | '￠' | '￡' | '￥' | '￦'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_beside_a_number_is_its_unit() {
        let signs = ["-$5", "$-5", "(5 €)", "R$ 5", "5,00 kr.", "5", "12.5%"].map(unit);
        assert_eq!(signs, ["$", "$", "€", "R$", "kr", "", "%"]);
    }

    #[test]
    fn money_is_bared_of_its_signs() {
        let money = [
            "₹5",
            "5₫",
            "R$5",
            "R$ 5",
            "US$5",
            "CHF 5",
            "kr 5",
            "5 kr.",
            "5 VNĐ",
            "5đ",
            "5 %",
            "Rs. 5",
            "5 zł",
            "€5",
            "5 руб.",
            "5 EUR",
            "5",
        ];
        money.iter().for_each(|text| assert_eq!(bare(text), "5", "{text}"));
        for other in ["12 kg", "A5", "No 5", "5 apples", "kr", ""] {
            assert_ne!(bare(other), "5", "{other}");
        }
    }
}
