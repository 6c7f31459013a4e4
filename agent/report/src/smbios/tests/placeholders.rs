//! Non-facts in the fixtures' tables, as dmidecode prints them: collected by hand, independently of `clean`,
//! which is tested against them.

/// dmidecode's own texts for no value, and "--", which replaces serial numbers in anonymised fixtures.
const OF_DMIDECODE: &[&str] = &["Not Specified", "<BAD INDEX>", "--"];

/// Placeholders of makers.
const OF_MAKERS: &[&str] = &[
    "(none)",
    ".",
    "..........",
    "..................",
    "....................",
    "..............................",
    "...............................",
    ".XXXXXXX.XXXXXXXXXXXXXX.",
    "00",
    "0000",
    "00000000",
    "0000000000",
    "00000000000000000000000000000000",
    "01234567",
    "0123456789",
    "01234567890123456789AB",
    "123456789",
    "1234567890",
    "1234567890.",
    "ATN12345678901234567",
    "BSN12345678901234567",
    "Chassis Asset Tag",
    "Chassis Manufacturer",
    "Chassis Serial Number",
    "Chassis SKU",
    "Chassis SKU Number",
    "Chassis Version",
    "Default string",
    "empty",
    "Family",
    "Fill By OEM",
    "INVALID",
    "N/A",
    "No Asset Information",
    "No Asset Tag",
    "NO DIMM",
    "No Enclosure",
    "None",
    "none",
    "Not Available",
    "NOT AVAILABLE",
    "Not Defined",
    "Not Set",
    "NULL",
    "OEM Chassis Manufacturer",
    "OEM Chassis Serial Number",
    "OEM Chassis Version",
    "OEM String:",
    "Product ID:",
    "Product ID: .",
    "SKU Number",
    "System Version",
    "TBD by OEM",
    "To Be Filled By O.E.M",
    "To Be Filled By O.E.M.",
    "To be filled by O.E.M.",
    "Type1Family",
    "Type1Sku0",
    "Type2 - Board Asset Tag",
    "Type2 - Board Chassis Location",
    "Type2 - Board Product Name1",
    "Type2 - Board Serial Number",
    "Type2 - Board Vendor Name1",
    "Type2 - Board Version",
    "Undefined",
    "Unknown",
    "UNKNOWN",
    "x.x",
    "XXXXXXX",
    "XxXxXxX",
    "XXXXXXXX",
    "XXXXXXXXXXXXXX",
];

/// "Manufacturer07", "ModulePartNumber16", "Dimm3_PartNum", "ChannelA_Dimm2_Manufacturer": a name and a
/// number.
const COUNTED: &[&str] = &[
    "Manufacturer",
    "PartNum",
    "ModulePartNumber",
    "_AssetTag",
    "_Manufacturer",
    "_Manufacturer_Name_String",
    "_PartNum",
];

pub(super) fn is_placeholder(said: &str) -> bool {
    let slot = |rest: &str| rest.starts_with("Dimm") || rest.starts_with("Channel");
    let counted = |name: &&str| {
        let counted = said.strip_prefix(*name).is_some_and(|n| n.parse::<u32>().is_ok());
        counted || (name.starts_with('_') && said.strip_suffix(*name).is_some_and(slot))
    };
    // Supermicro appends the date of manufacture, Dell the model.
    let dated = said
        .split_once("_AssetTag")
        .is_some_and(|(slot, date)| slot.contains("DIMM") && (date.is_empty() || date.contains('/')));
    let sku = said.starts_with("SKU=NotProvided;");
    dated || sku || OF_DMIDECODE.contains(&said) || OF_MAKERS.contains(&said) || COUNTED.iter().any(counted)
}
