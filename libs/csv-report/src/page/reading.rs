//! How the file was read, what of it could be read in another way, and a form that asks the server for that.

use std::fmt::Write;

use crate::{
    dialect::{Dialect, Doubt},
    inspect::Shape,
    kinds::{self, Column, Kind},
    reading::{COLUMN_OPTION, Chosen, delimiter_name},
    statistics::Statistics,
    value::{Code, DateOrder, NumberStyle},
    words::{Escaped, Words, count, sentence},
};

/// Columns whose doubts are told in sentences, and columns whose type the form lets one choose.
const DOUBTS_MAX: usize = 12;
const CHOICES_MAX: usize = 60;
/// Encodings the form offers.
const ENCODINGS: [&str; 22] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "windows-1252",
    "windows-1258",
    "windows-1250",
    "windows-1251",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-874",
    "iso-8859-2",
    "koi8-r",
    "ibm866",
    "macintosh",
    "shift_jis",
    "euc-jp",
    "gb18030",
    "big5",
    "euc-kr",
];
const TEMPLATE: &str = "<template class=\"reading-form\">";
const TEMPLATE_END: &str = "</template><!--reading-form-->";

/// Writes the section.
pub(super) fn write(out: &mut String, dialect: &Dialect, shape: &Shape, statistics: &Statistics) {
    let _ = write!(out, "<section><h2>{}</h2>", Words("How it was read", "Cách đọc tệp"));
    facts(out, dialect, shape);
    let doubts = doubts(dialect, shape, statistics);
    if !doubts.is_empty() {
        out.push_str("<ul class=\"findings doubts\">");
        for doubt in doubts {
            let _ = write!(out, "<li>{doubt}</li>");
        }
        out.push_str("</ul>");
    }
    out.push_str(TEMPLATE);
    form(out, dialect, shape, statistics);
    out.push_str(TEMPLATE_END);
    let words = Words(
        "This is a copy: open the report on its server to have the file read in another way.",
        "Đây là bản sao: hãy mở báo cáo trên máy chủ để đọc tệp theo cách khác.",
    );
    let _ = write!(out, "<p class=\"note offline\">{words}</p></section>");
}

/// As [`super::offer_form`]. Texts of the file are escaped, so the markers are ours.
pub(super) fn offer_form(page: Vec<u8>, hidden: &[(&str, &str)]) -> Vec<u8> {
    let mut form = "<form method=\"get\" class=\"reading-form\">".to_owned();
    for (name, value) in hidden {
        let (name, value) = (Escaped(name), Escaped(value));
        let _ = write!(form, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    }
    let find = |text: &str| memchr::memmem::find(&page, text.as_bytes());
    let (Some(from), Some(to)) = (find(TEMPLATE), find(TEMPLATE_END)) else { return page };
    let inside = page.get(from + TEMPLATE.len()..to).unwrap_or_default();
    let parts = [&page[..from], form.as_bytes(), inside, b"</form>", &page[to + TEMPLATE_END.len()..]];
    parts.concat()
}

fn facts(out: &mut String, dialect: &Dialect, shape: &Shape) {
    let mark = if dialect.bom { " + BOM" } else { "" };
    let quote = dialect.format.quote.map_or_else(
        || Words("none", "không có").to_string(),
        |sign| format!("<code>{}</code>", Escaped(&char::from(sign).to_string())),
    );
    // One that was not chosen stands in no line of one column.
    let delimiter = match dialect.width {
        1 if dialect.reading.delimiter.is_none() => Words("none", "không có").to_string(),
        _ => delimiter_words(dialect.format.delimiter),
    };
    let escape = if dialect.format.escape.is_some() { " <code>\\</code>" } else { "" };
    let header = match dialect.header_line() {
        Some(1) => Words("first row", "dòng đầu").to_string(),
        Some(line) => format!("{} {}", Words("line", "dòng"), count(line)),
        None => Words("none", "không có").to_string(),
    };
    let mut facts = vec![
        (Words("Encoding", "Bảng mã"), format!("{}{mark}", dialect.encoding())),
        (Words("Delimiter", "Dấu phân cách"), delimiter),
        (Words("Quote", "Dấu nháy"), format!("{quote}{escape}")),
        (Words("Line ends", "Kết thúc dòng"), dialect.line_end.to_owned()),
        (Words("Header", "Dòng tiêu đề"), header),
    ];
    if dialect.first_line > 1 {
        let lines = count(dialect.first_line - 1);
        facts.push((Words("Lines above the table", "Dòng phía trên bảng"), lines));
    }
    if shape.comments > 0 {
        facts.push((Words("Comments left out", "Dòng chú thích đã bỏ"), count(shape.comments)));
    }
    out.push_str("<dl class=\"reading\">");
    for (name, value) in facts {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>");
}

fn delimiter_words(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "Tab".to_owned(),
        b' ' => Words("white space", "khoảng trắng").to_string(),
        other if other.is_ascii_control() => format!("<code>0x{other:02x}</code>"),
        other => format!("<code>{}</code>", Escaped(&char::from(other).to_string())),
    }
}

fn doubts(dialect: &Dialect, shape: &Shape, statistics: &Statistics) -> Vec<String> {
    let mut told: Vec<String> = dialect.doubts.iter().map(|doubt| of_file(*doubt, dialect)).collect();
    if dialect.row_names {
        let words = Words(
            "The header has one name less than there are columns: the first column has the names of the rows.",
            "Dòng tiêu đề thiếu một tên so với số cột: cột đầu là tên của các dòng.",
        );
        told.push(words.to_string());
    }
    let columns = shape.names.iter().zip(&statistics.columns);
    let words = columns.clone().filter(|(_, found)| found.column.has_doubtful_words());
    let words = words.flat_map(|(name, found)| of_words(&format!("<b>{}</b>", Escaped(name)), &found.column));
    let of_columns = columns.filter_map(|(name, found)| {
        let name = format!("<b>{}</b>", Escaped(name));
        found.column.doubt.map(|doubt| of_column(&name, doubt, &found.column))
    });
    told.extend(of_columns.chain(words).take(DOUBTS_MAX));
    told
}

fn of_file(doubt: Doubt, dialect: &Dialect) -> String {
    match doubt {
        Doubt::Encoding => sentence(
            Words(
                "The encoding {} is a guess: nothing in the file says it for certain.",
                "Bảng mã {} là phỏng đoán: trong tệp không có gì cho biết chắc chắn.",
            ),
            &[dialect.encoding()],
        ),
        Doubt::Delimiter(other) if dialect.width == 1 => sentence(
            Words(
                "It was read as one column; {} divides some of its lines.",
                "Tệp được đọc là một cột; {} tách được một số dòng.",
            ),
            &[&delimiter_words(other)],
        ),
        Doubt::Delimiter(other) => sentence(
            Words(
                "It was divided by {}; {} divides it nearly as well.",
                "Tệp được tách bằng {}; {} cũng tách được gần như vậy.",
            ),
            &[&delimiter_words(dialect.format.delimiter), &delimiter_words(other)],
        ),
        Doubt::Header if dialect.header => Words(
            "The first row was read as the names of the columns; it could be data as well.",
            "Dòng đầu được đọc là tên cột; nó cũng có thể là dữ liệu.",
        )
        .to_string(),
        Doubt::Header => Words(
            "The first row was read as data; it could be the names of the columns as well.",
            "Dòng đầu được đọc là dữ liệu; nó cũng có thể là tên cột.",
        )
        .to_string(),
    }
}

fn of_column(name: &str, doubt: kinds::Doubt, column: &Column) -> String {
    match (doubt, column.kind) {
        (
            kinds::Doubt::DecimalMark,
            Kind::Integer(NumberStyle::Comma) | Kind::Decimal(NumberStyle::Comma),
        ) => sentence(
            Words(
                "{} can be read in two ways: the comma was read as the decimal mark, a point as between thousands.",
                "{} có thể đọc theo hai cách: dấu phẩy được đọc là dấu thập phân, dấu chấm là phân cách hàng nghìn.",
            ),
            &[name],
        ),
        (kinds::Doubt::DecimalMark, _) => sentence(
            Words(
                "{} can be read in two ways: the point was read as the decimal mark, a comma as between thousands.",
                "{} có thể đọc theo hai cách: dấu chấm được đọc là dấu thập phân, dấu phẩy là phân cách hàng nghìn.",
            ),
            &[name],
        ),
        (kinds::Doubt::DayAndMonth, kind) => day_and_month(name, kind),
        (kinds::Doubt::ShortYear, kind) => sentence(short_year_words(kind), &[name]),
        (kinds::Doubt::MonthOfYear, _) => sentence(
            Words(
                "{}: cells such as Jan-24 were read as months of a year; they could be days of a month, or names.",
                "{}: các ô như Jan-24 được đọc là tháng của năm; chúng cũng có thể là ngày trong tháng hoặc tên gọi.",
            ),
            &[name],
        ),
        (kinds::Doubt::Compact, Kind::Time(_)) => sentence(
            Words(
                "{}: eight digits such as 20240315 were read as dates; they could be numbers.",
                "{}: tám chữ số như 20240315 được đọc là ngày; chúng cũng có thể là số.",
            ),
            &[name],
        ),
        (kinds::Doubt::Compact, _) => sentence(
            Words(
                "{}: eight digits such as 20240315 were read as numbers; they could be dates.",
                "{}: tám chữ số như 20240315 được đọc là số; chúng cũng có thể là ngày.",
            ),
            &[name],
        ),
        (kinds::Doubt::TimeOfDay, _) => sentence(
            Words(
                "{} was read as times of day; they could be spans of time, or texts.",
                "{} được đọc là giờ trong ngày; cũng có thể là khoảng thời gian hoặc văn bản.",
            ),
            &[name],
        ),
        (kinds::Doubt::Codes { reason, count: cells, line }, _) => {
            sentence(code_words(reason), &[name, &count(cells), &line.to_string()])
        }
        (kinds::Doubt::Units, _) => sentence(
            Words(
                "{} holds amounts of several units; they were read as plain numbers.",
                "{} có số của nhiều đơn vị; tất cả được đọc là số thường.",
            ),
            &[name],
        ),
        (kinds::Doubt::Named, _) => sentence(
            Words(
                "{} was left as text: its name says that its digits are no measure.",
                "{} được giữ là văn bản: tên cột cho thấy các chữ số không phải số đo.",
            ),
            &[name],
        ),
    }
}

/// How words were read that are missing values elsewhere.
fn of_words(name: &str, column: &Column) -> Vec<String> {
    let missing = Words(
        "{}: cells that say {} were read as missing, not as texts (cells: {}).",
        "{}: các ô ghi {} được đọc là ô trống, không phải văn bản (số ô: {}).",
    );
    let texts = Words(
        "{}: cells that say {} were read as texts, not as missing (cells: {}).",
        "{}: các ô ghi {} được đọc là văn bản, không phải ô trống (số ô: {}).",
    );
    [(missing, column.words.as_missing()), (texts, column.words.as_texts())]
        .into_iter()
        .filter(|(_, counts)| counts.count() > 0)
        .map(|(words, counts)| {
            let said: Vec<String> = counts.words().map(|word| format!("<q>{}</q>", Escaped(word))).collect();
            sentence(words, &[name, &said.join(", "), &count(counts.count())])
        })
        .collect()
}

fn day_and_month(name: &str, kind: Kind) -> String {
    let words = match kind {
        Kind::Time(times) if times.order == DateOrder::Mdy => Words(
            "{}: day and month can be read in two ways; the month was read first.",
            "{}: ngày và tháng có thể đọc theo hai cách; tháng được đọc trước.",
        ),
        _ => Words(
            "{}: day and month can be read in two ways; the day was read first.",
            "{}: ngày và tháng có thể đọc theo hai cách; ngày được đọc trước.",
        ),
    };
    sentence(words, &[name])
}

fn short_year_words(kind: Kind) -> Words {
    match kind {
        Kind::Time(times) if times.order == DateOrder::Ymd => Words(
            "{}: years have two digits, and dates can be read in several ways; the year was read first.",
            "{}: năm có hai chữ số, ngày có thể đọc theo nhiều cách; năm được đọc trước.",
        ),
        Kind::Time(times) if times.order == DateOrder::Mdy => Words(
            "{}: years have two digits, and dates can be read in several ways; the month was read first, the year last.",
            "{}: năm có hai chữ số, ngày có thể đọc theo nhiều cách; tháng được đọc trước, năm đọc cuối.",
        ),
        _ => Words(
            "{}: years have two digits, and dates can be read in several ways; the day was read first, the year last.",
            "{}: năm có hai chữ số, ngày có thể đọc theo nhiều cách; ngày được đọc trước, năm đọc cuối.",
        ),
    }
}

fn code_words(reason: Code) -> Words {
    match reason {
        Code::LeadingZero => Words(
            "{} was left as text: a number would lose the zero at the beginning of a cell (cells: {}, the first in line {}).",
            "{} được giữ là văn bản: kiểu số sẽ làm mất số 0 ở đầu ô (số ô: {}, ô đầu tiên ở dòng {}).",
        ),
        Code::Long => Words(
            "{} was left as text: a number does not keep so many digits (cells: {}, the first in line {}).",
            "{} được giữ là văn bản: kiểu số không giữ được nhiều chữ số như vậy (số ô: {}, ô đầu tiên ở dòng {}).",
        ),
        Code::Phone => Words(
            "{} was left as text: it holds telephone numbers (cells: {}, the first in line {}).",
            "{} được giữ là văn bản: cột chứa số điện thoại (số ô: {}, ô đầu tiên ở dòng {}).",
        ),
    }
}

/// One choice of the form: what it sends and how it reads.
type Choice = (String, String);

fn form(out: &mut String, dialect: &Dialect, shape: &Shape, statistics: &Statistics) {
    let _ = write!(
        out,
        "<details{}><summary>{}</summary><div class=\"choices\">",
        if dialect.reading.is_auto() { "" } else { " open" },
        Words("Read it in another way", "Đọc theo cách khác")
    );
    for (name, words, choices) in choices(dialect) {
        select(out, name, &words.to_string(), choices, dialect.reading.value(name));
    }
    let columns = shape.names.iter().zip(&statistics.columns).take(CHOICES_MAX);
    for (number, (name, _)) in (1..).zip(columns) {
        let option = format!("{COLUMN_OPTION}{number}");
        let chosen = dialect.reading.columns.get(&number).map(|kind| kind.name().to_owned());
        select(out, &option, &Escaped(name).to_string(), kind_choices(), chosen);
    }
    let _ = write!(
        out,
        "</div><button type=\"submit\">{}</button></details>",
        Words("Make the report anew", "Tạo lại báo cáo")
    );
}

fn choices(dialect: &Dialect) -> Vec<(&'static str, Words, Vec<Choice>)> {
    let plain = |text: &str| (text.to_owned(), text.to_owned());
    let worded = |value: &str, words: Words| (value.to_owned(), option_words(words));
    let delimiters = [b',', b';', b'\t', b'|', b' ', b'^', b'~', b':'];
    let delimiter = |sign: u8| match sign {
        b'\t' => plain("tab"),
        b' ' => worded("space", Words("white space", "khoảng trắng")),
        sign => plain(&delimiter_name(sign)),
    };
    let none = || worded("none", Words("none", "không có"));
    let lines = (1..=5).chain((dialect.first_line > 5).then_some(dialect.first_line));
    let header = lines.map(|line| (line.to_string(), format!("{line}.")));
    vec![
        ("encoding", Words("Encoding", "Bảng mã"), ENCODINGS.iter().map(|name| plain(name)).collect()),
        ("delimiter", Words("Delimiter", "Dấu phân cách"), delimiters.into_iter().map(delimiter).collect()),
        ("quote", Words("Quote", "Dấu nháy"), vec![plain("\""), plain("'"), none()]),
        ("header", Words("Header", "Dòng tiêu đề"), std::iter::once(none()).chain(header).collect()),
        (
            "decimal",
            Words("Decimals", "Số thập phân"),
            vec![("point".to_owned(), "1,234.5".to_owned()), ("comma".to_owned(), "1.234,5".to_owned())],
        ),
        (
            "dates",
            Words("Dates", "Ngày tháng"),
            vec![
                ("dmy".to_owned(), "31/12/2024".to_owned()),
                ("mdy".to_owned(), "12/31/2024".to_owned()),
                ("ymd".to_owned(), "2024-12-31".to_owned()),
            ],
        ),
    ]
}

fn kind_choices() -> Vec<Choice> {
    [Chosen::Number, Chosen::Date, Chosen::Boolean, Chosen::Text, Chosen::Verbatim]
        .map(|kind| {
            let words = match kind {
                Chosen::Number => Words("number", "số"),
                Chosen::Date => Words("date", "ngày"),
                Chosen::Boolean => Words("yes / no", "đúng / sai"),
                Chosen::Text => Words("text", "văn bản"),
                Chosen::Verbatim => Words("text, even NA or -", "văn bản, kể cả NA hay -"),
            };
            (kind.name().to_owned(), option_words(words))
        })
        .to_vec()
}

/// No markup can stand in an option: both languages do.
fn option_words(words: Words) -> String {
    format!("{} · {}", words.0, words.1)
}

fn select(out: &mut String, name: &str, label: &str, mut choices: Vec<Choice>, chosen: Option<String>) {
    if let Some(chosen) = chosen.as_ref().filter(|chosen| !choices.iter().any(|(value, _)| value == *chosen))
    {
        choices.push((chosen.clone(), chosen.clone()));
    }
    let _ =
        write!(out, "<label><span>{label}</span><select name=\"{name}\"><option value=\"\">auto</option>");
    for (value, text) in choices {
        let selected = if chosen.as_ref() == Some(&value) { " selected" } else { "" };
        let (value, text) = (Escaped(&value), Escaped(&text));
        let _ = write!(out, "<option value=\"{value}\"{selected}>{text}</option>");
    }
    out.push_str("</select></label>");
}
