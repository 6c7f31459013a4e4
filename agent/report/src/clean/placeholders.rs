//! Recognises texts that mean "no value": the name of the field itself, "not supported", "to be filled".
//! Pure.

/// Words for fields. A text of only these, and of words for the part the field belongs to, is the field's own
/// name.
const FIELDS: &str = "asset designation family id location manufacture manufacturer model name num number \
                      part partnum sernum ser serial sku string tag vendor version";
/// The subset that never appears in a version, model or place, so that even with a number it is not a fact:
/// "AssetTagNum0".
const NEVER_COUNTED: &str = "asset manufacturer num number part partnum sernum serial sku tag vendor";
/// Words for the part a field belongs to.
const OWNERS: &str = "base baseboard bios board channel chassis cpu device dimm enclosure memory module \
                      motherboard node oem power proc processor product psu slot socket supply system type";
/// Words after "not" that mean no value.
const NOT: &str = "applic applied assign avail defin implement install known populat present program provid \
                   readable set specif support used";
/// Longest placeholder, in characters; a longer text is real.
const SENTENCE: usize = 60;

/// Whether a text only says that there is no value.
pub(super) fn says_nothing(text: &str) -> bool {
    // Supermicro appends the date of manufacture: "P1-DIMMA1_AssetTag (date:18/20)".
    let text = text.split(" (date:").next().unwrap_or_default().trim();
    if let Some((start, sku)) = text.split_at_checked(4)
        && start.eq_ignore_ascii_case("SKU=")
    {
        // Dell: "SKU=NotProvided;ModelName=PowerEdge R630".
        let number = sku.split(';').next().unwrap_or_default();
        return super::fact(number).is_none();
    }
    let words = words(text);
    // "Reserved for Chassis Vendor".
    let is_reserved = is_short(text) && words.concat().starts_with("reservedfor");
    is_reserved || says_not(text) || names_the_field(text, &words)
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= SENTENCE
}

/// "Not Supported by CPU", "NotProvided", "To be filled on plant", "Fill By OEM".
pub(super) fn says_not(text: &str) -> bool {
    let all: String = words(text).concat();
    let says = all.contains("tobefill")
        || all.contains("filledby")
        || all.starts_with("fillby")
        || all
            .strip_prefix("not")
            .is_some_and(|rest| NOT.split(' ').any(|word| rest.starts_with(word)));
    says && is_short(text)
}

/// "System SKU Number", "Type2 - Board Chassis Location", "PROC1_PART_NUM", "DIMM_A1_AssetTag",
/// "XXX_ASSET_NUM".
fn names_the_field(text: &str, words: &[String]) -> bool {
    let joined = text.contains('_') || words.iter().any(|word| split(word).0 == "dimm");
    let mut fields = 0;
    for word in words {
        let (letters, count) = split(word);
        let is_owner = OWNERS.split(' ').any(|owner| {
            letters
                .strip_prefix(owner)
                .is_some_and(|slot| slot.is_empty() || (slot.len() == 1 && !count.is_empty()))
        });
        let is_place =
            joined && ((letters.len() <= 1 && count.len() <= 2) || letters.bytes().all(|b| b == b'x'));
        let is_in = |words: &str| words.split(' ').any(|word| word == letters);
        if is_in(FIELDS) && (count.is_empty() || is_in(NEVER_COUNTED)) {
            fields += 1;
        } else if !(is_owner || is_place) {
            return false;
        }
    }
    fields > 0
}

/// The letters of a word and the digits after them: "dimm3" is ("dimm", "3").
fn split(word: &str) -> (&str, &str) {
    word.split_at(word.trim_end_matches(|c: char| c.is_ascii_digit()).len())
}

/// The words in lower case; "AssetTagNum0" has three, "Type1Family" two.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in text.chars() {
        if !c.is_alphanumeric() {
            before = ' ';
            continue;
        }
        let begins = !before.is_alphanumeric()
            || (c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::{fact, serial};

    #[test]
    fn the_name_of_the_field_is_no_fact() {
        for junk in [
            "System SKU Number",
            "Chassis SKU Number",
            "Chassis Manufacture",
            "Base Board Asset Tag",
            "Type2 - Board Chassis Location",
            "PROC1_PART_NUM",
            "PROC1_ASSET_NUM",
            "CPU2_SERIAL_NUM",
            "XXX_ASSET_NUM",
            "Dimm0_AssetTag",
            "Dimm12_AssetTag",
            "DIMM_A1_AssetTag",
            "P1-DIMMA1_AssetTag (date:18/20)",
            "P2-DIMMH2_AssetTag",
            "A1_AssetTagNum0",
            "Manufacturer07",
            "ModulePartNumber01",
            "Dimm3_Manufacturer_Name_String",
            "ChannelA_Dimm2_PartNum",
            "Type1Family",
            "Type1Sku0",
            "Type2 - Board Vendor Name1",
            "OEM Chassis Serial Number",
            "Product Name",
            "System Family",
            "Power Supply Serial Number",
            "PSU1_PART_NUM",
            "Processor Asset Tag",
            "SerNum3",
        ] {
            assert_eq!(fact(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn sentences_such_as_not_supported_are_no_facts() {
        for junk in [
            "NOT SUPPORT",
            "Not Supported",
            "Not Supported by CPU",
            "not specified",
            "NotProvided",
            "Not Populated",
            "NOT USED",
            "To be filled on plant",
            "To be filled by O.E.M. ",
            "To Be Filled By Customer",
            "TO_BE_FILLED_BY_OEM",
            "Fill By OEM",
            "Reserved for Chassis Vendor",
            "Reserved for future Vendor",
            "SKU=NotProvided;ModelName=PowerEdge R630",
            "SKU=;ModelName=PowerEdge R740",
            "sku=None",
        ] {
            assert_eq!(fact(junk), None, "{junk:?}");
        }
        for junk in [
            "0x2020202020202020202020202020202020202020",
            "2020202020202020",
            "0xFFFFFFFF",
            "0x0000000000",
            "11111111",
            "ZZZZZZ",
            "-----",
        ] {
            assert_eq!(serial(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn texts_with_a_word_of_their_own_are_kept() {
        for real in [
            "Version 1.0",
            "Rev 2",
            "V1.2",
            "Model 3",
            "Acme Manufacturer",
            "Note Systems",
            "Notus 5",
            "System Board",
            "Power Supply 1",
            "CPU1",
            "DIMM A1",
            "P1-DIMMA1",
            "Type 41",
            "Super Server",
            "SKU=0627;ModelName=PowerEdge R630",
            "Node A",
            "X9DRW",
            "36ASF4G72PZ-2G6E1",
            "M393A4K40CB2-CVF",
            "0x4A4D383030514C452D384700000000000000",
            "Product 5",
            "11112",
            "2020-01",
            "Server Board S2600",
            "Asset 4711",
            "TAG-00123",
            "Family 6",
            "Not yet sold: 12 pieces of Acme's second series, kept for us alone",
        ] {
            assert_eq!(serial(real).as_deref(), Some(real));
        }
    }
}
