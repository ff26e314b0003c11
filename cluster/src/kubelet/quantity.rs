//! Kubernetes quantities (`250m`, `64Mi`, `1e3`), as far as numbers are needed from them.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// The value as a floating-point number; `None` if it is no quantity.
pub fn approximate(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.trim();
    let split =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let value: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    let value = value * factor;
    value.is_finite().then_some(value)
}

/// The value in thousandths; `None` if it is no quantity.
pub fn milli(quantity: &Quantity) -> Option<i128> {
    let milli = approximate(quantity)? * 1000.0;
    // Rounded up, as quantities do with what they cannot hold; the small slack undoes binary fractions such as 0.1.
    milli.is_finite().then(|| (milli - 1e-6).ceil() as i128)
}

/// `value` divided by `divisor`, rounded up: what `resourceFieldRef` puts into a variable.
pub fn divided(value: &Quantity, divisor: Option<&Quantity>) -> Option<String> {
    let divisor = match divisor.map(milli) {
        None | Some(Some(0)) => 1000,
        Some(divisor) => divisor?,
    };
    let value = milli(value)?;
    Some(((value + divisor - 1).div_euclid(divisor)).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn suffixes_and_exponents() {
        let cases = [
            ("250m", 250),
            ("1", 1000),
            ("0.1", 100),
            ("64Mi", 67_108_864_000),
            ("1e3", 1_000_000),
            ("2k", 2_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(milli(&q(text)), Some(expected), "{text}");
        }
        assert_eq!(milli(&q("ten")), None);
        assert_eq!(milli(&q("1x")), None);
    }

    #[test]
    fn a_divisor_rounds_up() {
        assert_eq!(divided(&q("250m"), None).unwrap(), "1");
        assert_eq!(divided(&q("250m"), Some(&q("1m"))).unwrap(), "250");
        assert_eq!(divided(&q("64Mi"), Some(&q("1Mi"))).unwrap(), "64");
        assert_eq!(divided(&q("1500m"), Some(&q("0"))).unwrap(), "2");
    }
}
