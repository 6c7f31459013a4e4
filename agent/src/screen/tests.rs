use super::*;

fn finding(sentence: &str) -> Finding {
    Finding {
        code: "dimm-missing".into(),
        place: "A5".into(),
        expected: "64 GiB".into(),
        found: "empty".into(),
        severity: Severity::Error,
        sentence: sentence.into(),
    }
}

fn check(findings: usize) -> CheckResult {
    CheckResult {
        verdict: if findings == 0 {
            Verdict::Pass
        } else {
            Verdict::Fail
        },
        findings: (0..findings)
            .map(|n| {
                finding(&format!(
                    "DIMM A{n}: ordered 64 GiB Micron MTA36ASF8G72PZ, the slot is empty."
                ))
            })
            .collect(),
    }
}

fn poster(check: &CheckResult) -> Poster<'_> {
    Poster {
        check: Some(check),
        serial: Some("VM0001"),
        model: Some("Slipway Virtual Server"),
        place: Some("Room 1, rack A3, unit 12"),
        page: Some("https://192.168.100.100:8443/p/0198d2c4-7f00-7000-8000-0123456789ab"),
    }
}

/// A minimal model of the Linux console: rows of cells, and only the sequences a screen uses.
fn terminal(text: &str, columns: usize, rows: usize) -> Vec<String> {
    let mut cells = vec![vec![' '; columns]; rows];
    let (mut row, mut column) = (0, 0);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                assert_eq!(chars.next(), Some('['));
                let mut number = String::new();
                let end = loop {
                    let c = chars.next().unwrap();
                    if c.is_ascii_alphabetic() {
                        break c;
                    }
                    number.push(c);
                };
                match end {
                    'G' => column = number.parse::<usize>().unwrap() - 1,
                    'H' => (row, column) = (0, 0),
                    'm' | 'J' | 'l' | 'h' => {}
                    other => panic!("unknown sequence {number}{other}"),
                }
            }
            '\n' => (row, column) = (row + 1, 0),
            c => {
                assert!(row < rows && column < columns, "outside: {row},{column}");
                cells[row][column] = c;
                column += 1;
            }
        }
    }
    cells.into_iter().map(|r| r.into_iter().collect()).collect()
}

#[test]
fn a_failing_machine_on_a_vga_screen() {
    let check = check(2);
    let rows = terminal(&poster(&check).screen(80, 25), 80, 25);
    let text = rows.join("\n");
    assert!(
        rows[0].starts_with("\u{2588}\u{2588}\u{2588}\u{2588}\u{2588}\u{2588}  "),
        "{text}"
    );
    for part in [
        "serial  VM0001",
        "rack A3, unit 12",
        "Micron",
        "https://192.168.100.100:8443",
    ] {
        assert!(text.contains(part), "{part:?} is not on\n{text}");
    }
    assert_eq!(rows[24].trim(), "", "the last row is the cursor's");
}

/// Reads the code back from the screen's cells with an independent decoder.
#[test]
fn the_code_on_the_screen_can_be_read() {
    let check = check(1);
    let rows = terminal(&poster(&check).screen(80, 25), 80, 25);
    let light = |x: usize, y: usize| match rows[y / 8].chars().nth(x / 4).unwrap_or(' ') {
        '\u{2588}' => true,
        '\u{2580}' => y % 8 < 4,
        '\u{2584}' => y % 8 >= 4,
        _ => false,
    };
    // Each half cell becomes four by four pixels; only the right side, where the code is.
    let first = TEXT_COLUMNS * 4;
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(80 * 4 - first, 25 * 8, |x, y| {
        if light(x + first, y) { 255 } else { 0 }
    });
    let found = prepared.detect_grids();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].decode().unwrap().1,
        "https://192.168.100.100:8443/p/0198d2c4-7f00-7000-8000-0123456789ab"
    );
}

#[test]
fn what_does_not_fit_is_counted_and_nothing_is_outside() {
    let check = check(200);
    for (columns, rows) in [(80, 25), (40, 20), (1, 1), (128, 48), (1000, 1000)] {
        let screen = poster(&check).screen(columns, rows);
        let cells = terminal(&screen, columns.clamp(40, 240), rows.clamp(20, 100)).join("\n");
        assert!(cells.contains("more: see the page"), "{columns}x{rows}:\n{cells}");
    }
    let lines = poster(&check).lines();
    assert!(lines.iter().any(|l| l == "verdict: and 190 more") && lines.len() < 20);
}

#[test]
fn hostile_words_are_harmless() {
    let mut check = check(1);
    check.findings[0].sentence = "\x1b[2J\x07evil \u{1F4A9}\nline".into();
    let poster = Poster {
        serial: Some("\x1b]0;x"),
        ..poster(&check)
    };
    terminal(&poster.screen(80, 25), 80, 25);
    assert!(
        poster
            .lines()
            .iter()
            .all(|l| l.chars().all(|c| c.is_ascii_graphic() || c == ' '))
    );
}

#[test]
fn without_an_expectation_the_screen_says_hold() {
    let poster = Poster::default();
    assert_eq!(
        poster.lines()[0],
        "verdict: HOLD: no expectation is known for this machine"
    );
    assert!(poster.screen(80, 25).contains("not in the rack plan"));
}
