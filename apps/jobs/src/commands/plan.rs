//! From a specification to what is started: program, arguments, environment, directory.
//!
//! Arguments are filled in one by one and go to the program as they are: no shell sees them, so nothing in a
//! value means anything but itself.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    child::Supervisor,
    parser::{Parser, PatternError},
    programs,
    text::cut,
};
use crate::{
    config::{CommandSection, JobsConfig},
    domain::{CommandSpec, ParserKind, VIDEO},
};

/// In place of the program: this server's own worker.
pub(crate) const WORKER: &str = "{worker}";
/// What every command may see of our environment.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "TZ", "TMPDIR", "USER"];
/// How long a value may be, in characters.
const VALUE_CHARS_MAX: usize = 4000;

/// What is started.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) argv: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The working directory, if it is not the run's own.
    pub(crate) directory: Option<PathBuf>,
    pub(crate) parser: Parser,
    pub(crate) timeout: Duration,
    /// What the timeout is called, for the message.
    pub(crate) timeout_setting: String,
}

/// Why a command cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("there is no command {name:?}; {known}")]
    Unknown { name: String, known: String },
    #[error("command {name:?} needs the parameter {parameter:?}; send it in parameters")]
    Missing { name: String, parameter: String },
    #[error("command {name:?} has no parameter {parameter:?}; {known}")]
    Surplus { name: String, parameter: String, known: String },
    #[error("parameter {parameter:?} {what}")]
    Value { parameter: String, what: String },
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error("{0}")]
    Program(String),
    #[error("the command runs in somebody's terminal, not here")]
    Remote,
}

/// The command of that name. `video` is there without being configured.
pub(crate) fn command(config: &JobsConfig, name: &str) -> Option<CommandSection> {
    let configured = config.commands.get(name).cloned();
    configured.or_else(|| (name == VIDEO).then(video))
}

/// Every command there is.
pub(crate) fn commands(config: &JobsConfig) -> BTreeMap<String, CommandSection> {
    let mut all = config.commands.clone();
    all.entry(VIDEO.to_owned()).or_insert_with(video);
    all
}

fn video() -> CommandSection {
    CommandSection {
        argv: [WORKER, "make-video", "--language={language}", "--message={message}"]
            .map(str::to_owned)
            .to_vec(),
        title: Some("Video".to_owned()),
        parser: ParserKind::Json,
        ..CommandSection::default()
    }
}

/// The placeholders of a command, in order of their names.
pub(crate) fn parameters(command: &CommandSection) -> Vec<&str> {
    let mut names: Vec<&str> =
        command.argv.iter().flat_map(|argument| pieces(argument)).filter_map(|piece| piece.err()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Checks a specification when it comes, so that a mistake shows at once.
pub(crate) fn check(config: &JobsConfig, spec: &CommandSpec) -> Result<(), PlanError> {
    match spec {
        CommandSpec::Configured { name, parameters } => {
            fill(name, &lookup(config, name)?, parameters).map(|_| ())
        }
        CommandSpec::AdHoc { parser, pattern, .. } => {
            Ok(Parser::new(*parser, pattern.as_deref()).map(|_| ())?)
        }
        CommandSpec::Remote { .. } => Ok(()),
    }
}

/// What is to be started.
pub(crate) fn plan(config: &JobsConfig, worker: &Supervisor, spec: &CommandSpec) -> Result<Plan, PlanError> {
    let (name, section, arguments) = match spec {
        CommandSpec::Configured { name, parameters } => {
            let section = lookup(config, name)?;
            let arguments = fill(name, &section, parameters)?;
            (format!("jobs.commands.{name}.timeout_ms"), section, arguments)
        }
        CommandSpec::AdHoc { argv, parser, pattern, timeout_ms } => {
            let timeout_ms = timeout_ms.unwrap_or(CommandSection::default().timeout_ms);
            let section = CommandSection {
                parser: *parser,
                pattern: pattern.clone(),
                timeout_ms,
                ..CommandSection::default()
            };
            ("timeout_ms".to_owned(), section, argv.clone())
        }
        CommandSpec::Remote { .. } => return Err(PlanError::Remote),
    };
    let environment = environment(&section);
    let mut argv: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    if arguments.first().is_some_and(|program| program == WORKER) {
        argv.splice(..1, worker.argv());
    } else {
        check_program(&arguments, &environment)?;
    }
    Ok(Plan {
        argv,
        environment,
        parser: Parser::new(section.parser, section.pattern.as_deref())?,
        directory: section.directory,
        timeout: Duration::from_millis(section.timeout_ms),
        timeout_setting: name,
    })
}

fn check_program(arguments: &[String], environment: &[(OsString, OsString)]) -> Result<(), PlanError> {
    let program = arguments.first().map_or("", String::as_str);
    // What is set comes after what is passed on, and wins.
    let search =
        environment.iter().rfind(|(name, _)| name == "PATH").map(|(_, value)| value.to_string_lossy());
    match programs::find(program, &search.unwrap_or_default()) {
        Some(_) => Ok(()),
        None => Err(PlanError::Program(programs::missing(program))),
    }
}

fn lookup(config: &JobsConfig, name: &str) -> Result<CommandSection, PlanError> {
    command(config, name).ok_or_else(|| {
        let names: Vec<String> = commands(config).into_keys().collect();
        let known =
            format!("there are {}; add it to the configuration as [jobs.commands.{name}]", names.join(", "));
        PlanError::Unknown { name: name.to_owned(), known }
    })
}

fn fill(
    name: &str,
    section: &CommandSection,
    values: &BTreeMap<String, String>,
) -> Result<Vec<String>, PlanError> {
    let known = parameters(section);
    if let Some(parameter) = values.keys().find(|value| !known.contains(&value.as_str())) {
        let known =
            if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
        return Err(PlanError::Surplus { name: name.to_owned(), parameter: parameter.clone(), known });
    }
    section.argv.iter().map(|argument| fill_one(name, argument, values)).collect()
}

fn fill_one(name: &str, argument: &str, values: &BTreeMap<String, String>) -> Result<String, PlanError> {
    if argument == WORKER {
        return Ok(argument.to_owned());
    }
    let mut filled = String::new();
    for piece in pieces(argument) {
        match piece {
            Ok(text) => filled.push_str(text),
            Err(parameter) => {
                let missing =
                    || PlanError::Missing { name: name.to_owned(), parameter: parameter.to_owned() };
                let value = values.get(parameter).ok_or_else(missing)?;
                check_value(parameter, value, filled.is_empty())?;
                filled.push_str(value);
            }
        }
    }
    Ok(filled)
}

/// A value may be anything but an option in disguise, or what no argument can hold.
fn check_value(parameter: &str, value: &str, first: bool) -> Result<(), PlanError> {
    let refuse = |what: String| Err(PlanError::Value { parameter: parameter.to_owned(), what });
    let chars = value.chars().count();
    if chars > VALUE_CHARS_MAX {
        return refuse(format!("has {chars} characters; at most {VALUE_CHARS_MAX} are allowed"));
    }
    if value.contains('\0') {
        return refuse("holds a NUL character, which no argument can; leave it out".to_owned());
    }
    if first && value.starts_with('-') {
        return refuse(format!(
            "is {:?}, and the program would take it for an option; begin it otherwise",
            cut(value, 40)
        ));
    }
    Ok(())
}

/// The pieces of an argument: text, or the name in a `{placeholder}`.
fn pieces(argument: &str) -> Vec<Result<&str, &str>> {
    let mut pieces = Vec::new();
    let mut rest = argument;
    let is_name = |name: &str| {
        !name.is_empty()
            && name != "worker"
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
    };
    while let Some(open) = rest.find('{') {
        let name = rest[open + 1..].split('}').next().unwrap_or_default();
        let closed = rest[open + 1 + name.len()..].starts_with('}');
        if closed && is_name(name) {
            pieces.push(Ok(&rest[..open]));
            pieces.push(Err(name));
            rest = &rest[open + name.len() + 2..];
        } else {
            pieces.push(Ok(&rest[..=open]));
            rest = &rest[open + 1..];
        }
    }
    pieces.push(Ok(rest));
    pieces
}

/// Little of our own environment, what the configuration lets through, and what it sets.
fn environment(section: &CommandSection) -> Vec<(OsString, OsString)> {
    let passed = ENVIRONMENT.iter().copied().chain(section.environment.iter().map(String::as_str));
    let mut environment: Vec<(OsString, OsString)> =
        passed.filter_map(|name| Some((name.into(), std::env::var_os(name)?))).collect();
    environment.push(("LANG".into(), "C.UTF-8".into()));
    environment.extend(section.set.iter().map(|(name, value)| (name.into(), value.into())));
    environment
}

/// The variables that tell a command about its run.
pub(crate) fn own_environment(id: &str, files: &Path) -> [(OsString, OsString); 3] {
    [
        ("ANYWIRE_JOB".into(), id.into()),
        ("ANYWIRE_FILES".into(), files.into()),
        ("ANYWIRE_FILES_URL".into(), format!("/api/jobs/{id}/files").into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(argv: &[&str]) -> CommandSection {
        CommandSection {
            argv: argv.iter().map(|one| (*one).to_owned()).collect(),
            ..CommandSection::default()
        }
    }

    fn filled(argv: &[&str], values: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fill("x", &section(argv), &values).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_stays_one_argument_whatever_is_in_it() {
        let nasty = "; rm -rf / $(id) `id` \"'\n|&>";
        assert_eq!(
            filled(&["echo", "{text}"], &[("text", nasty)]),
            Ok(vec!["echo".to_owned(), nasty.to_owned()])
        );
        assert_eq!(
            filled(&["tar", "-f={a}-{b}.tar"], &[("a", "1"), ("b", "2")]).expect("filled")[1],
            "-f=1-2.tar"
        );
        assert_eq!(
            filled(&["awk", "{print $1}", "{}", "{A}", "{"], &[]).expect("filled")[1..],
            ["{print $1}", "{}", "{A}", "{"]
        );
    }

    #[test]
    fn a_value_that_would_be_an_option_is_refused() {
        let error = filled(&["rm", "{file}"], &[("file", "-rf")]).expect_err("refused");
        assert!(error.contains("would take it for an option"), "{error}");
        assert!(filled(&["rm", "--file={file}"], &[("file", "-rf")]).is_ok());
        assert!(filled(&["rm", "{file}"], &[("file", "a\0b")]).expect_err("refused").contains("NUL"));
        assert!(
            filled(&["rm", "{file}"], &[("file", &"x".repeat(4001))]).expect_err("refused").contains("4001")
        );
    }

    #[test]
    fn parameters_that_are_missing_or_too_many_are_named() {
        assert!(filled(&["a", "{b}"], &[]).expect_err("missing").contains("needs the parameter \"b\""));
        assert!(filled(&["a", "{b}"], &[("b", ""), ("c", "")]).expect_err("too many").contains("it has b"));
    }

    #[test]
    fn an_unknown_command_is_named_with_those_there_are() {
        let spec = CommandSpec::Configured { name: "nope".to_owned(), parameters: BTreeMap::new() };
        let error = check(&JobsConfig::default(), &spec).expect_err("unknown").to_string();
        assert!(error.contains("there are video") && error.contains("[jobs.commands.nope]"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_before_anything_starts() {
        let spec = CommandSpec::AdHoc {
            argv: vec!["no-such-program".to_owned()],
            parser: ParserKind::Lines,
            pattern: None,
            timeout_ms: None,
        };
        let error =
            plan(&JobsConfig::default(), &Supervisor::new(None), &spec).expect_err("missing").to_string();
        assert!(error.contains("apt install no-such-program"), "{error}");
    }
}
