use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("/etc/slipway/slipway.toml"), text).map_err(|e| e.to_string())
}

#[test]
fn the_example_is_right_and_its_checked_form_says_the_same() {
    let text = include_str!("../../slipway.example.toml");
    let config = parse(text).unwrap();
    assert_eq!(config.networks.len(), 1);
    assert!(!config.profiles.is_empty() && !config.policy.rules.is_empty());
    let form = config.checked_form();
    let again = parse(&form).unwrap();
    assert_eq!(again.checked_form(), form);
    assert_eq!(again.limits, config.limits);
    assert_eq!(again.networks, config.networks);
    assert_eq!(again.policy, config.policy);
}

#[test]
fn an_empty_file_has_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/slipway"));
    assert_eq!(config.api.listen.port(), 8443);
    assert_eq!(config.images_dir, Path::new("/var/lib/slipway/images"));
    assert!(config.tls_names().contains("127.0.0.1"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse("data_dir = \"data\"").unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/slipway/data"));
    assert_eq!(config.mini_os.dir, Path::new("/etc/slipway/data/mini-os"));
}

#[test]
fn mistakes_are_named_with_file_line_and_what_is_allowed() {
    let rule = "[[rule]]\nname = \"r\"\n";
    let cases = [
        ("[api]\nlisten = \"nowhere\"\n", "line 2"),
        ("[api]\n\nlisen = \"0.0.0.0:1\"\n", "line 3"),
        ("[api]\n\nlisen = \"0.0.0.0:1\"\n", "expected `listen` or `names`"),
        (
            "\n[policy]\nunknown = \"deploy\"\n",
            "expected `hold` or `commission`",
        ),
        (
            "\n\n[[network]]\nname = \"Lab 1\"\nserver = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n",
            "slipway.toml:3: network name",
        ),
        (
            &format!("{rule}match = {{}}\naction = \"hold\"\n"),
            "slipway.toml:1: rule r: `match` is empty",
        ),
        (
            &format!("# x\n{rule}match = {{ serial = \"1\" }}\naction = \"deploy\"\nprofile = \"web\"\n"),
            "slipway.toml:2: rule r: there is no [profile.web]; profiles are: (none)",
        ),
        (
            &format!("{rule}match = {{ serial = \"1\" }}\naction = \"deploy\"\n"),
            "needs a `profile`",
        ),
        (
            "[profile.web]\nhostname = \"a\"\n",
            "profile web: `image` is missing",
        ),
        (
            "[boot]\nticket_seconds = 5\n",
            "slipway.toml:2: ticket_seconds = 5 has to be between",
        ),
        ("[api]\nnames = [\"a b\"]\n", "slipway.toml:2: name \"a b\""),
    ];
    for (text, expected) in cases {
        let error = parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert!(
            error.contains("slipway.toml") && error.contains(expected),
            "{error:?} does not say {expected:?}"
        );
    }
}

#[test]
fn the_checked_form_has_no_password_hash() {
    let config = parse(
        "[profile.web]\nimage = \"debian-12\"\n[[profile.web.accounts]]\nname = \"alice\"\npassword_hash = \"$y$secret\"\n",
    )
    .unwrap();
    let form = config.checked_form();
    assert!(form.contains("alice") && !form.contains("secret"), "{form}");
    assert_eq!(
        config.profiles["web"].accounts[0].password_hash.as_deref(),
        Some("$y$secret")
    );
}
