//! What the address reader promises, by example, by property and on real registers' forms.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Each line: the canonical form and ways to write it.
const FORMS: &[(&str, &[&str])] = &[
    (
        "陕西中路12弄56号301室",
        &[
            "陕西中路十二弄56号301室",
            "陕西中路１２弄５６号３０１室",
            "陕西中路 12弄 56号 301 室",
            "上海市黄浦区陕西中路12弄56号301室",
            "上海黄浦陕西中路12弄56号301室",
            "黄浦区外滩街道陕西中路12弄56号301室",
            "陕西中路12弄56号楼301",
            "陕西中路12弄56幢301室",
            "陕西中路12弄56楼301",
            "陕西中路12弄56栋0301室",
            "陕西中路12弄56号00301室",
            "陕西中路12-56-301",
            "陕西中路12—56—301室",
            "陕西中路12/56/301",
            "陕西中路 12 56 301",
            "陕西中路12弄56-301",
            "陕西中路12弄56号301",
            "陕西中路12弄56号3层301室",
            "陕西中路12弄56#301",
            "陕西中路拾贰弄五十六号三〇一室",
            "陕西中路12弄(近淮海中路)56号301室",
            "陜西中路12弄56號301室",
            "陕西中路12弄明德里56号301室",
        ],
    ),
    (
        "厦门中路123弄45号601室",
        &[
            "厦门中路一百二十三弄45号601",
            "厦门中路一二三弄四十五号六〇一室",
        ],
    ),
    ("厦门中路20弄28号1101室", &["厦门中路廿弄廿八号01101室"]),
    ("顺昌东路476弄30号103室", &["顺昌东路四百七十六弄卅号103"]),
    (
        "长乐路123弄4支弄5号",
        &["长乐路123弄4弄5号", "长乐路一百廿三弄四支弄五号"],
    ),
    (
        "长乐路45甲号",
        &[
            "长乐路45号甲",
            "长乐路甲45号",
            "长乐路45甲",
            "长乐路四十五甲号",
            "长乐路45号(甲)",
        ],
    ),
    (
        "长乐路临45号",
        &["长乐路45号临", "长乐路45临号", "长乐路临四十五号"],
    ),
    (
        "长乐路45号后门",
        &["长乐路后门45号", "长乐路45后门号", "长乐路45号(后门)"],
    ),
    ("长乐路45-1号", &["长乐路45号-1", "长乐路45号之1"]),
    (
        "长乐路100号3幢501室",
        &["长乐路100号3号楼501", "长乐路3幢100号501室"],
    ),
    (
        "长乐路12弄5号2单元601室",
        &[
            "长乐路12弄5号2-601",
            "长乐路12-5-2-601",
            "长乐路12弄5号二单元601室",
        ],
    ),
    ("长乐路12弄5号亭子间", &["长乐路十二弄五号亭子间"]),
    ("长乐路12弄5号三层阁", &["长乐路12弄5号3层阁"]),
    ("长乐路12弄东区5号601室", &["长乐路12弄东区5-601"]),
    (
        "中山东一路12号",
        &["中山东1路12号", "上海市中山东一路十二号", "外滩大道12号"],
    ),
    ("淮海中路1000号", &["霞飞路1000号", "霞飞路一千号"]),
    (
        "沪南公路7577弄8号",
        &[
            "浦东新区惠南镇沪南公路7577弄8号",
            "上海市南汇区沪南公路7577弄8号楼",
        ],
    ),
    ("浦东大道1234号5层501A室", &["浦东大道1234号501A室"]),
    (
        "彭浦新村12号601室",
        &["彭浦新村12-601", "静安区彭浦新村街道彭浦新村12号601"],
    ),
    (
        "曹杨八村12号601室",
        &["曹杨8村12号601室", "曹杨八村12号0601室"],
    ),
    ("天灯弄12号", &["天灯弄十二号"]),
    ("南大街12号", &["南大街拾贰号"]),
    (
        "新建村3组12号",
        &[
            "新建村三组12号",
            "新建村第三村民小组12号",
            "奉贤区奉城镇新建村委会3组十二号",
            "新建村3队12号",
        ],
    ),
    (
        "新建村王家宅12号",
        &["崇明县新河镇新建村王家宅12号", "新建村王家宅十二号"],
    ),
    ("步高里5号", &["步高里五号"]),
    ("铁路新村5号", &["铁路新村五号"]),
    ("四川北路1800弄", &["四川北路一千八百弄"]),
    ("安徽省阜南县某村", &["安徽省阜南县某村"]),
    ("江苏省昆山市玉山镇", &["江苏省 昆山市 玉山镇"]),
    (
        "浙江省杭州市西湖区文三路8号",
        &["浙江省杭州市西湖区文三路八号"],
    ),
    ("都市路2501弄3号", &["都市路2501-3"]),
    ("景德镇路12号", &["景德镇路十二号"]),
    ("上海宝山路12号", &["上海宝山路12号"]),
];

#[test]
fn every_form_is_one_place() {
    let mut wrong = Vec::new();
    for (canonical, forms) in FORMS {
        let place = parse(canonical);
        for form in forms.iter() {
            let read = parse(form);
            if read.key() != place.key() {
                wrong.push(format!("{form} gives {read}, not {place}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_canonical_form_is_as_people_expect() {
    let mut wrong = Vec::new();
    for (canonical, forms) in FORMS {
        let read = normalise(forms[0]);
        // 5层501A室 and 上海宝山路 stand in the list for other reasons.
        if read != *canonical && !canonical.contains('层') && !canonical.contains("上海") {
            wrong.push(format!("{} gives {read}, not {canonical}", forms[0]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn different_places_stay_apart() {
    let keys: Vec<String> = FORMS
        .iter()
        .map(|(canonical, _)| parse(canonical).key())
        .collect();
    let unlike: std::collections::BTreeSet<&String> = keys.iter().collect();
    assert_eq!(unlike.len(), keys.len());
}

#[test]
fn elements_are_where_they_belong() {
    let address = parse("上海市徐汇区湖南路街道长乐路123弄4支弄临45号甲2单元601室(东门进)");
    let text = |element: &Option<String>| element.clone().unwrap_or_default();
    assert_eq!(text(&address.district), "徐汇区");
    assert_eq!(text(&address.street), "湖南路街道");
    assert_eq!(text(&address.road), "长乐路");
    assert_eq!(text(&address.lane), "123");
    assert_eq!(text(&address.sub_lane), "4");
    assert_eq!(text(&address.number), "临45甲");
    assert_eq!(text(&address.unit), "2");
    assert_eq!(text(&address.room), "601");
    assert_eq!(text(&address.note), "东门进");
    assert!(address.is_complete());
}

#[test]
fn a_building_is_known_without_its_rooms() {
    let key = |text: &str| parse(text).building_key();
    assert_eq!(key("陕西中路12弄56号301室"), key("陕西中路12-56-1702"));
    assert_eq!(key("陕西中路12弄56号301室"), key("陕西中路12弄56号楼"));
    assert_ne!(key("陕西中路12弄56号301室"), key("陕西中路12弄5号301室"));
    assert_eq!(key("陕西中路"), "");
    assert_eq!(parse("").key(), "");
}

#[test]
fn the_built_in_rules_are_there() {
    assert!(Rules::built_in().districts.len() > 16 && Rules::built_in().roads.len() > 3);
}

/// Every line: the police's form, a tab, the community's form of the same house.
#[test]
fn two_registers_agree_on_their_houses() {
    let lines = include_str!("../../tests/fixtures/address_variants.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (police, community) = line.split_once('\t').unwrap();
        assert_eq!(
            parse(community).key(),
            parse(police).key(),
            "{community} against {police}"
        );
        assert_eq!(normalise(community), police);
        count += 1;
    }
    assert!(count >= 60);
}

fn spelled(number: u32, numeral: bool) -> String {
    let digits = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    if !numeral {
        return number.to_string();
    }
    let mut text = String::new();
    let mut gap = false;
    for (value, name) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
        let digit = (number / value % 10) as usize;
        if digit == 0 {
            gap = !text.is_empty();
            continue;
        }
        if gap {
            text.push('零');
            gap = false;
        }
        if !(value == 10 && digit == 1 && text.is_empty()) {
            text.push_str(digits[digit]);
        }
        text.push_str(name);
    }
    text
}

fn wide(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_digit() {
                char::from_u32(c as u32 + 0xfee0).unwrap()
            } else {
                c
            }
        })
        .collect()
}

prop_compose! {
    fn roads()(
        name in prop::sample::select(vec!["陕西中路", "四平路", "中山东一路", "沪南公路", "浦东大道", "南大街", "彭浦新村", "三林路", "长寿路", "丁香路", "临汾路"]),
    ) -> &'static str { name }
}

proptest! {
    #[test]
    fn all_ways_of_writing_give_one_key(road in roads(), lane in 1u32..3000, number in 1u32..300, floor in 1u32..40, door in 1u32..30, numeral: bool, wide_digits: bool) {
        let room = floor * 100 + door;
        let (l, n, r) = (spelled(lane, numeral), spelled(number, numeral), room);
        let place = parse(&format!("{road}{lane}弄{number}号{room}室"));
        prop_assert!(place.is_complete());
        prop_assert_eq!(place.to_string(), format!("{road}{lane}弄{number}号{room}室"));
        let key = place.key();
        for form in [
            format!("{road}{l}弄{n}号{r}室"),
            format!("{road}{l}弄{n}号{r}"),
            format!("{road}{l}弄{n}号楼{r}"),
            format!("{road}{l}弄{n}幢{r}室"),
            format!("{road}{l}弄{n}栋0{r}室"),
            format!("{road}{l}弄{n}楼{r}"),
            format!("{road}{l}弄{n}号{floor}层{r}室"),
            format!("{road} {l}弄 {n}号 {r} 室"),
            format!("上海市黄浦区{road}{l}弄{n}号{r}室"),
            format!("上海市浦东新区花木街道{road}{l}弄{n}号{r}室"),
            format!("{road}{lane}-{number}-{room}"),
            format!("{road}{lane}弄{number}-{room}"),
            format!("{road}{lane:04}弄{number:03}号0{room}室"),
        ] {
            let form = if wide_digits { wide(&form) } else { form };
            prop_assert_eq!(parse(&form).key(), key.clone(), "{}", form);
        }
    }

    #[test]
    fn without_a_lane(road in roads(), number in 1u32..3000, room in 101u32..4000, numeral: bool) {
        let n = spelled(number, numeral);
        let key = parse(&format!("{road}{number}号{room}室")).key();
        for form in [format!("{road}{n}号{room}"), format!("{road}{number}-{room}"), format!("黄浦区{road}{n}号0{room}室")] {
            prop_assert_eq!(parse(&form).key(), key.clone(), "{}", form);
        }
    }

    #[test]
    fn reading_again_changes_nothing(text in any::<String>()) {
        let once = parse(&text);
        let twice = parse(&once.to_string());
        prop_assert_eq!(twice.to_string(), once.to_string());
        prop_assert_eq!(twice.key(), once.key());
    }

    #[test]
    fn nor_on_what_looks_like_an_address(
        text in "(上海|上海市|黄浦区|浦东|新河镇|路|街|村|宅|弄|支弄|号|号楼|幢|楼|室|单元|层|组|队|区|期|甲|乙|临|后门|之|-|、|#|里|新村|王家|三|十|百|廿|〇|零|省|市|县|[0-9A-Z０-９ ()]){0,14}",
    ) {
        let once = parse(&text);
        let twice = parse(&once.to_string());
        prop_assert_eq!(twice.to_string(), once.to_string());
        prop_assert_eq!(twice.key(), once.key());
    }
}
