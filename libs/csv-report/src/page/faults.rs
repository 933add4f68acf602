//! What is wrong with rows: how many of each kind, and where first.

use std::fmt::Write;

use crate::{
    faults::{FaultKind, Faults, OfKind},
    words::{Words, count, sentence},
};

/// Writes the faults; nothing where there are none.
pub(super) fn write(out: &mut String, faults: &Faults) {
    if faults.iter().next().is_none() {
        return;
    }
    let _ = write!(
        out,
        "<section><h2>{}</h2><ul class=\"findings faults\">",
        Words("Faults in the file", "Lỗi trong tệp")
    );
    for (kind, found) in faults.iter() {
        let _ = write!(out, "<li>{}{}</li>", sentence(words(kind), &[&count(found.count)]), places(found));
    }
    out.push_str("</ul></section>");
}

fn words(kind: FaultKind) -> Words {
    match kind {
        FaultKind::ShortRow => Words(
            "Rows with fewer fields than there are columns: {}. The fields that lack count as missing.",
            "Dòng thiếu ô so với số cột: {}. Ô thiếu được tính là trống.",
        ),
        FaultKind::LongRow => Words(
            "Rows with more fields than there are columns: {}. What is too much was left out.",
            "Dòng thừa ô so với số cột: {}. Phần thừa đã bị bỏ.",
        ),
        FaultKind::Quote => Words(
            "Quotes that are never closed or stand amid text: {}. They were taken as text.",
            "Dấu nháy không đóng hoặc nằm giữa văn bản: {}. Chúng được coi là văn bản.",
        ),
        FaultKind::Bytes => Words(
            "Bytes that mean nothing in this encoding: {}. They are shown as \u{fffd}.",
            "Byte không có nghĩa trong bảng mã này: {}. Chúng hiện thành \u{fffd}.",
        ),
        FaultKind::Nul => {
            Words("NUL bytes: {}. The file may be damaged.", "Byte NUL: {}. Tệp có thể đã hỏng.")
        }
    }
}

fn places(found: &OfKind) -> String {
    if found.places.is_empty() {
        return String::new();
    }
    let one = |place: &crate::faults::Place| format!("{}:{}", place.line, place.column);
    let places = found.places.iter().map(one).collect::<Vec<_>>().join(", ");
    let more = if found.count > found.places.len() as u64 { ", …" } else { "" };
    format!(" {} {places}{more}", Words("Line and character:", "Dòng và ký tự:"))
}
