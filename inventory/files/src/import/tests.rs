use super::fault::MAX_FAULTS;
use super::*;
use proptest::prelude::*;

fn csv_faults<T: std::fmt::Debug>(read: Result<Vec<Entry<T>>, Vec<Fault>>) -> Vec<String> {
    read.unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn orders_by_csv_and_by_json_are_the_same() {
    let text = "\u{feff}Order;Item;Count;Profile;Description\r\nPO-1;10;40;web;\"40 web; row 7\"\r\nPO-1;20;2;db;\r\n\r\nPO-2;10;1;web;x\r\n";
    let csv = orders(text.as_bytes(), Format::Csv).unwrap();
    assert_eq!(csv.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(
        csv[0].value.items[0].description.as_deref(),
        Some("40 web; row 7")
    );
    assert_eq!(
        (
            csv[0].value.items[1].count,
            csv[0].value.items[1].profile.as_str()
        ),
        (2, "db")
    );
    let values: Vec<_> = csv.into_iter().map(|e| e.value).collect();
    let json = serde_json::to_vec_pretty(&values).unwrap();
    let back: Vec<_> = orders(&json, Format::Json)
        .unwrap()
        .into_iter()
        .map(|e| e.value)
        .collect();
    assert_eq!(back, values);
}

/// Readers copy the samples of docs/orders.md.
#[test]
fn the_samples_of_the_document_are_taken() {
    let document = include_str!("../../../../docs/orders.md");
    let mut taken = Vec::new();
    for (language, format) in [("csv", Format::Csv), ("json", Format::Json)] {
        for block in document.split(&format!("```{language}\n")).skip(1) {
            let sample = block.split("```").next().unwrap();
            let kind = ["order", "room", "profile"].into_iter().find(|kind| {
                let start = sample.trim_start_matches(['[', '{', '"']);
                start.starts_with(kind)
            });
            let bytes = sample.as_bytes();
            let rows = match kind {
                Some("order") => orders(bytes, format).map(|all| all.len()),
                Some("room") => racks(bytes, format).map(|all| all.len()),
                Some("profile") => profiles(bytes, format).map(|all| all.len()),
                _ => panic!("a sample of nothing: {sample}"),
            };
            taken.push((
                kind.unwrap(),
                rows.unwrap_or_else(|faults| panic!("{sample}: {faults:?}")),
            ));
        }
    }
    assert_eq!(taken, [("order", 1), ("room", 2), ("profile", 1), ("room", 1)]);
}

#[test]
fn each_fault_has_its_line_and_column() {
    let text = "order,item,count,profile\nPO-1,10,0,web\n,10,1,web\nPO-1,10\nPO-2,10,1,web\nPO-2,10,2,web\n";
    assert_eq!(
        csv_faults(orders(text.as_bytes(), Format::Csv)),
        [
            "line 2, column 3 (count): \"0\" is not a whole number from 1 to 1000000",
            "line 3, column 1 (order): is empty",
            "line 4, column 3: the row has 2 cells, the heading has 4",
            "line 6, column 2 (item): duplicate item \"10\" of order \"PO-2\": an item is one row",
        ]
    );
    let heading = csv_faults(orders(b"order,item,amount\nPO-1,10,1\n", Format::Csv));
    assert!(
        heading
            .iter()
            .any(|f| f.starts_with("line 1, column 3 (heading): there is no column \"amount\""))
    );
    assert!(
        heading.iter().any(|f| f.contains("lacks: count, profile")),
        "{heading:?}"
    );
    assert!(csv_faults(orders(b"", Format::Csv))[0].starts_with("line 1"));
    assert!(csv_faults(orders(b"order,item,count,profile\n", Format::Csv))[0].contains("no rows"));
    let latin = csv_faults(orders(
        b"order,item,count,profile\nPO-1,10,1,w\xe9b\n",
        Format::Csv,
    ));
    assert!(
        latin[0].starts_with("line 2") && latin[0].contains("UTF-8"),
        "{latin:?}"
    );
}

#[test]
fn a_fault_in_json_has_its_line_and_column_too() {
    let text = "[\n  {\"number\": \"PO-1\", \"items\": [{\"item\": \"10\", \"count\": 1, \"profile\": \"web\"}]},\n  {\"number\": \"PO-2\",\n   \"itmes\": []}\n]";
    let faults = orders(text.as_bytes(), Format::Json).unwrap_err();
    assert_eq!(faults[0].line, 4, "{faults:?}");
    assert!(faults[0].detail.contains("unknown field `itmes`"), "{faults:?}");
    let one = "{\"number\": \"PO-1\", \"items\": []}";
    assert_eq!(
        csv_faults(orders(one.as_bytes(), Format::Json)),
        ["line 1 (items): the order has no items"]
    );
    let in_one_line = "[{\"number\":\"A1\",\"items\":[{\"item\":\"1\",\"count\":1,\"profile\":\"p\"}]}, {\"number\":\"A1\",\"items\":[{\"item\":\"1\",\"count\":1,\"profile\":\"p\"}]}]";
    assert_eq!(
        csv_faults(orders(in_one_line.as_bytes(), Format::Json)),
        ["line 1 (order): \"A1\" is a duplicate of line 1"]
    );
    let twice = "[{\"number\":\"A1\",\"items\":[{\"item\":\"1\",\"count\":1,\"profile\":\"p\"}]},\n{\"number\":\"A1\",\"items\":[{\"item\":\"1\",\"count\":1,\"profile\":\"p\"}]}]";
    assert_eq!(
        csv_faults(orders(twice.as_bytes(), Format::Json)),
        ["line 2 (order): \"A1\" is a duplicate of line 1"]
    );
    for text in ["", "[", "[]", "[{}", "nonsense", "[{},]", "[] []", "{} {}"] {
        assert!(orders(text.as_bytes(), Format::Json).is_err(), "{text}");
    }
}

#[test]
fn a_place_with_its_cables() {
    let text = "room,rack,unit,serial,asset_tag,order,item,nic1,switch1,port1,vlan1,switch2,port2\n\
                R1,A07,12,7XK03Q3,INV-9,PO-1,10,aa:bb:cc:dd:ee:01,sw-a07-1,Ethernet1/7,100,sw-a07-2,Ethernet1/7\n\
                R1,A07,14,,,,,,,,,,\n";
    let places = racks(text.as_bytes(), Format::Csv).unwrap();
    let p = &places[0].value;
    assert_eq!(
        (p.ports.len(), p.ports[0].vlan, p.ports[1].nic.as_deref()),
        (2, Some(100), None)
    );
    assert_eq!(p.ports[1].switch, "sw-a07-2");
    assert!(places[1].value.serial.is_none() && places[1].value.ports.is_empty());
    for (row, says) in [
        ("R1,A07,0,,,,,,,,,,", "line 2, column 3 (unit)"),
        (
            "R1,A07,1,Default string,,,,,,,,,",
            "line 2 (serial): \"Default string\" is a placeholder that makers leave",
        ),
        (
            "R1,A07,1,,,,10,,,,,,",
            "line 2 (order): is empty, but an item is named",
        ),
        (
            "R1,A07,1,,,,,,sw,,,,",
            "line 2, column 10 (port1): a cable needs both",
        ),
        ("R1,A07,1,,,,,,sw,p,9999,,", "line 2, column 11 (vlan1)"),
        (
            "R1,A07,1,SAME77,,,,,,,,,\nR1,A07,2,same77,,,,,,,,,",
            "line 3 (serial): \"same77\" is a duplicate of line 2",
        ),
    ] {
        let heading = text.lines().next().unwrap();
        let faults = csv_faults(racks(format!("{heading}\n{row}\n").as_bytes(), Format::Csv));
        assert!(faults.iter().any(|f| f.starts_with(says)), "{row}: {faults:?}");
    }
}

#[test]
fn a_profile_field_by_field() {
    let text = "profile,field,value\n\
                web,system.model,PowerEdge R650\n\
                web,cpu.sockets,2\n\
                web,memory.total,512 GB\n\
                web,memory.dimms[0].slot,A1\n\
                web,memory.dimms[0].size,64 GB\n\
                web,memory.dimms[1].slot,A2\n\
                web,memory.dimms[1].empty,yes\n";
    let web = &profiles(text.as_bytes(), Format::Csv).unwrap()[0].value;
    assert_eq!(
        (web.name.as_str(), web.system.model.as_deref()),
        ("web", Some("PowerEdge R650"))
    );
    assert_eq!((web.cpu.sockets, web.memory.total), (Some(2), Some(512 << 30)));
    assert!(web.memory.dimms[1].empty && web.memory.dimms[0].size == Some(64 << 30));
    for (row, says) in [
        (
            "web,system.modle,R650",
            "line 2, column 2 (field): there is no field \"system.modle\"",
        ),
        (
            "web,cpu.sockets,two",
            "line 2, column 3 (value): \"two\" is not a value of cpu.sockets",
        ),
        ("web,memory.dimms[9999].slot,A1", "line 2, column 2 (field)"),
        ("web,memory..x,A1", "line 2, column 2 (field)"),
        ("web,cpu.sockets[0],2", "line 2, column"),
        (",cpu.sockets,2", "line 2, column 1 (profile): is empty"),
        (
            "web,cpu.sockets,2\nweb,cpu.sockets,4",
            "line 3, column 2 (field): \"cpu.sockets\" is a duplicate",
        ),
    ] {
        let faults = csv_faults(profiles(
            format!("profile,field,value\n{row}\n").as_bytes(),
            Format::Csv,
        ));
        assert!(faults.iter().any(|f| f.starts_with(says)), "{row}: {faults:?}");
    }
}

#[test]
fn faults_are_named_to_a_readable_number() {
    let mut text = "order,item,count,profile\n".to_owned();
    for n in 0..1000 {
        text.push_str(&format!("PO-{n},10,many,web\n"));
    }
    let faults = csv_faults(orders(text.as_bytes(), Format::Csv));
    assert_eq!(faults.len(), MAX_FAULTS);
    assert!(
        faults[MAX_FAULTS - 1].ends_with("(and 950 more errors)"),
        "{}",
        faults[MAX_FAULTS - 1]
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), head in 0usize..4) {
        let heads = ["", "order,item,count,profile\n", "room,rack,unit,serial,nic1,switch1,port1\n", "profile,field,value\n"];
        let mut text = heads[head].as_bytes().to_vec();
        text.extend(bytes);
        for format in [Format::Csv, Format::Json] {
            let _ = orders(&text, format);
            let _ = racks(&text, format);
            let _ = profiles(&text, format);
        }
    }

    #[test]
    fn no_field_makes_it_panic(field in "[a-z.\\[\\]0-9_]{0,30}", value in "\\PC{0,12}") {
        let _ = values::profile_field(&field, &value);
    }
}

fn case(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/cases")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Files as spreadsheets write them (tests/cases/08-spreadsheet-files) are read as they were meant or refused
/// with the reason.
#[test]
fn files_as_spreadsheets_write_them() {
    for (name, line) in [("excel-sep.csv", 3), ("excel-trailing.csv", 2)] {
        let orders = orders(&case(&format!("08-spreadsheet-files/{name}")), Format::Csv).unwrap();
        assert_eq!(
            (orders[0].line, orders[0].value.items[0].count),
            (line, 2),
            "{name}"
        );
    }
    let zero = racks(&case("08-spreadsheet-files/excel-zero.csv"), Format::Csv).unwrap();
    let tags: Vec<_> = zero
        .iter()
        .map(|e| e.value.asset_tag.as_deref().unwrap())
        .collect();
    assert_eq!(tags, ["000123", "000124"]);
    let spaces = racks(&case("08-spreadsheet-files/nbsp.csv"), Format::Csv).unwrap();
    let serials: Vec<_> = spaces
        .iter()
        .map(|e| e.value.serial.as_deref().unwrap())
        .collect();
    assert_eq!(serials, ["SNX1", "SNX2", "SNX3"]);
    let rounded = csv_faults(racks(&case("08-spreadsheet-files/excel-sci1.csv"), Format::Csv));
    assert_eq!(
        rounded[0],
        "line 2, column 4 (serial): \"6.10E+11\" looks like a number that a spreadsheet rounded: format the column as text \
         and enter it again"
    );
    for name in ["cp-crlf.csv", "cp-lf.csv"] {
        let faults = csv_faults(orders(
            &case(&format!("08-spreadsheet-files/{name}")),
            Format::Csv,
        ));
        assert!(
            faults[0].starts_with("line 8: ") && faults[0].contains("UTF-8"),
            "{name}: {faults:?}"
        );
    }
    for name in ["excel-utf16.csv", "excel-1000.csv"] {
        assert!(
            !csv_faults(orders(
                &case(&format!("08-spreadsheet-files/{name}")),
                Format::Csv
            ))
            .is_empty()
        );
    }
    assert_eq!(
        csv_faults(racks(&case("08-spreadsheet-files/unit-names.csv"), Format::Csv)).len(),
        3
    );
}

#[test]
fn what_a_spreadsheet_made_of_a_text_is_refused_where_it_loses_something() {
    let rack = |cell: &str| format!("room,rack,unit,serial,switch1,port1\nR1,A1,1,SN1,sw1,\"{cell}\"\n");
    for lost in [
        "6,10E+11",
        "1E+15",
        "3-Dec",
        "Dec-03",
        "03-Dec-2026",
        "#N/A",
        "#REF!",
        "#####",
    ] {
        assert!(racks(rack(lost).as_bytes(), Format::Csv).is_err(), "{lost}");
    }
    for kept in [
        "Ethernet1/7",
        "1-1",
        "E+1",
        "Dec",
        "et-0/0/1",
        "1E11",
        "2-Dez",
        "#1",
    ] {
        let read = racks(rack(kept).as_bytes(), Format::Csv).unwrap();
        assert_eq!(read[0].value.ports[0].port, kept);
    }
    let free = "order,item,count,profile,description\nPO-1,10,1,web,3-Dec\n";
    assert!(orders(free.as_bytes(), Format::Csv).is_ok());
    let headless = csv_faults(orders(
        b"order,item,count,profile,\nPO-1,10,1,web,x\n",
        Format::Csv,
    ));
    assert_eq!(
        headless,
        ["line 2, column 5: \"x\" is in a column without a heading"]
    );
}

#[test]
fn a_mac_is_one_in_every_spelling() {
    let read = racks(&case("12-mac-spellings/macs.csv"), Format::Csv).unwrap();
    for entry in &read {
        assert_eq!(entry.value.ports[0].nic.as_deref(), Some("aa:bb:cc:dd:ee:ff"));
    }
    let with = |nic: &str| format!("room,rack,unit,serial,nic1,switch1,port1\nR1,A1,1,SN1,{nic},sw1,1\n");
    for name in [
        "eth0",
        "0000:18:00.0",
        "Slot 2 port 1",
        "Integrated NIC 1",
        "ens1f0np0",
    ] {
        let read = racks(with(name).as_bytes(), Format::Csv).unwrap();
        assert_eq!(read[0].value.ports[0].nic.as_deref(), Some(name));
    }
    for wrong in ["AABB.CCDD.EEF", "aa:bb:cc:dd:ee", "aa-bb-cc-dd-ee-ff-00"] {
        assert!(
            csv_faults(racks(with(wrong).as_bytes(), Format::Csv))[0].contains("looks like a MAC"),
            "{wrong}"
        );
    }
}

#[test]
fn several_machines_in_one_unit_are_told_apart_by_their_node() {
    let read = racks(&case("02-two-nodes-in-one-unit/racks.csv"), Format::Csv).unwrap();
    let names: Vec<String> = read.iter().map(|e| e.value.name()).collect();
    assert_eq!(names[1], "R1 A07 unit 12 node 2");
    let today = csv_faults(racks(
        &case("02-two-nodes-in-one-unit/racks-today.csv"),
        Format::Csv,
    ));
    assert!(
        today[0].contains("is a duplicate of line 2") && today[0].contains("\"node\""),
        "{today:?}"
    );
    // Names are compared in canonical form: case and surrounding spaces make no difference.
    let twice = "room,rack,unit,node,serial\nR1,A07,1,left,S1\nr1,a07,1, LEFT ,S2\n";
    assert_eq!(csv_faults(racks(twice.as_bytes(), Format::Csv)).len(), 1);
}
