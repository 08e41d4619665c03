//! Rows of a real-shaped register, with its slips.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::records::{all, record_type};

const HEADS: &str = "社区人员编号,姓名,证件种类,证件号码,性别,民族,出生日期,手机号码,户籍地址,居住地址,居村委编码,人员类别,与户主关系,婚姻状况,文化程度,政治面貌,标签,备注,更新时间";

fn cells(line: &str) -> Vec<String> {
    line.split(',').map(str::to_owned).collect()
}

fn mapping(rt: &str, heads: &str) -> Mapping {
    let (mapping, problems) = Mapping::from_heads(record_type(rt).unwrap(), &cells(heads));
    assert_eq!(problems, []);
    mapping
}

fn importable(row: &Row) -> bool {
    let mut problems = row.problems.iter();
    problems.all(|problem| problem.severity == Severity::Warning)
}

fn convert(line: &str) -> Row {
    mapping("resident", HEADS).convert(&cells(line))
}

fn text<'a>(fields: &'a Fields, key: &str) -> &'a str {
    fields.get(key).and_then(Value::as_text).unwrap_or("")
}

fn codes(row: &Row) -> Vec<(&str, &str)> {
    row.problems
        .iter()
        .map(|p| (p.head.as_str(), p.code.as_ref()))
        .collect()
}

#[test]
fn who_lives_where_they_are_registered_has_two_ties() {
    let row = convert(
        "C0000002599,贺曦斌,居民身份证,310112198312027107,女,01,1983-12-02,15725314119,厦门中路66弄1号1301室,厦门中路66弄1号楼1301,310101002001,人户一致,02,10,10,13,,,20260718111224",
    );
    assert_eq!(codes(&row), []);
    assert_eq!(text(&row.fields, "population_kind"), "01");
    assert_eq!(text(&row.fields, "certificate_kind"), "111");
    assert_eq!(text(&row.fields, "sex"), "2");
    assert_eq!(text(&row.fields, "community_id"), "C0000002599");
    let [living, register] = row.residences.as_slice() else {
        panic!("two ties: {:?}", row.residences)
    };
    assert_eq!(text(living, "kind"), "living");
    assert_eq!(living.get("main"), Some(&Value::Bool(true)));
    assert_eq!(text(living, "address"), "厦门中路66弄1号楼1301");
    assert_eq!(text(living, "area_code"), "310101002001");
    assert_eq!(text(living, "source"), "C0000002599:living");
    assert_eq!(text(register, "kind"), "register");
    assert_eq!(text(register, "area_code"), "310101002001");
    assert!(!register.contains_key("main"));
}

#[test]
fn a_register_address_elsewhere_is_pointed_out() {
    let row = convert(
        "C0000002327,朱宝,居民身份证,310109194303163709,女,01,1943-03-16,17161521449,上海市静安区某路88号,顺昌东路920弄50号楼1403,310101002001,人户一致,02,20,60,13,,,20260618065833",
    );
    assert_eq!(codes(&row), [("户籍地址", "register_elsewhere")]);
    assert!(importable(&row));
    assert!(
        !row.residences[1].contains_key("area_code"),
        "which committee that is isn't told"
    );
}

#[test]
fn who_came_from_elsewhere_lives_here_only() {
    let row = convert(
        "C0000001184,叶海思,居民身份证,310115197004275621,女,01,1970-04-27,13329620436,安徽省阜南县某村,陕西中路十二弄56号301室,310101002001,来沪,10,30,20,13,,,20260627024539",
    );
    assert_eq!(codes(&row), []);
    assert_eq!(row.residences.len(), 1);
    assert_eq!(
        row.fields["source_updated_at"],
        Value::Int(1_782_499_539_000)
    );
}

#[test]
fn a_passport_and_no_nationality() {
    let row = convert(
        "C0000002496,MULLER ANNA,普通护照,D74149310,女,,1978-10-16,13226534730,,陕西中路894弄2号01704室,310101002001,境外,02,20,70,13,,,20261103044648",
    );
    assert_eq!(text(&row.fields, "certificate_kind"), "414");
    assert_eq!(text(&row.fields, "id_number"), "D74149310");
    assert!(importable(&row));
    assert_eq!(codes(&row), [("国籍（地区）", "country_expected")]);
}

#[test]
fn slips_are_kept_and_named_by_column() {
    let row = convert(
        "C1,黄诺,居民身份证,３１０２２５１９６４１１０４１０１８,女,七七,1964-11-05,135475715,x,y,310101002001,来沪,50,20,40,13,,,20260614040348",
    );
    assert_eq!(
        text(&row.fields, "id_number"),
        "310225196411041018",
        "kept for the comparison with the police"
    );
    assert_eq!(text(&row.fields, "nationality"), "七七");
    let codes = codes(&row);
    for expected in [("证件号码", "check_digit"), ("民族", "unknown_code")] {
        assert!(codes.contains(&expected), "{codes:?}");
    }
    assert!(
        codes.iter().any(|(head, _)| *head == "手机号码"),
        "{codes:?}"
    );
    assert!(importable(&row));
    assert_eq!(
        row.problems
            .iter()
            .find(|p| p.head == "证件号码")
            .unwrap()
            .column,
        Some(3)
    );

    let row = convert(
        "C1,,居民身份证,3.10225E+17,丙,01,1964-13-05,,,,310101002001,来沪,50,20,40,13,,,昨天",
    );
    let codes: Vec<_> = self::codes(&row);
    for expected in [
        ("姓名", "required"),
        ("证件号码", "spreadsheet_number"),
        ("性别", "unknown_code"),
        ("出生日期", "date"),
        ("更新时间", "date_time"),
        ("居住地址", "no_living_address"),
    ] {
        assert!(codes.contains(&expected), "{expected:?} in {codes:?}");
    }
    assert!(!importable(&row));
}

#[test]
fn what_the_number_tells_is_filled_in() {
    let (mapping, problems) = Mapping::from_heads(
        record_type("resident").unwrap(),
        &cells("姓名,身份证号,性别*（必填）,人员类别"),
    );
    assert_eq!(problems, []);
    let row = mapping.convert(&cells("黄诺,310225641104101,,来沪"));
    assert_eq!(text(&row.fields, "birth_date"), "1964-11-04");
    assert_eq!(text(&row.fields, "sex"), "1");
    assert_eq!(text(&row.fields, "certificate_kind"), "111");
    assert_eq!(text(&row.fields, "id_number").len(), 18);
    let row = mapping.convert(&cells("黄诺,,男,来沪,多出"));
    assert!(row.problems.iter().any(|p| p.code == "extra_cells"));
}

#[test]
fn houses_convert() {
    let mapping = mapping(
        "house",
        "社区房屋编号,居住地址,居村委编码,房屋用途,面积,更新时间",
    );
    let row = mapping.convert(&cells(
        "H00000000,顺昌东路920弄7号01101室,310101002001,群租,144.3,20260709063830",
    ));
    assert_eq!(row.problems, []);
    assert_eq!(text(&row.fields, "house_use"), "49");
    assert_eq!(text(&row.fields, "floor_area_m2"), "144.3");
    assert!(row.residences.is_empty());
}

#[test]
fn heads_are_checked() {
    let heads = cells("姓 名,姓名,星座,性别");
    let (mapping, problems) = Mapping::from_heads(record_type("resident").unwrap(), &heads);
    let codes: Vec<_> = problems.iter().map(|p| (p.code, p.column)).collect();
    assert_eq!(
        codes,
        [
            ("duplicate_head", Some(1)),
            ("unknown_head", Some(2)),
            ("missing_head", None)
        ]
    );
    assert_eq!(mapping.field(0).unwrap().name, "name");
    assert!(mapping.field(1).is_none() && mapping.field(9).is_none());
}

#[test]
fn a_template_maps_onto_itself() {
    for rt in all() {
        let heads: Vec<String> = Mapping::template(rt)
            .into_iter()
            .map(str::to_owned)
            .collect();
        let (_, problems) = Mapping::from_heads(rt, &heads);
        let problems: Vec<_> = problems
            .iter()
            .filter(|p| p.code != "missing_head")
            .collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
}

proptest! {
    #[test]
    fn converting_never_panics(cells in prop::collection::vec(".{0,20}", 0..22)) {
        let row = mapping("resident", HEADS).convert(&cells);
        let json = serde_json::to_string(&row.problems).unwrap();
        for cell in cells.iter().filter(|c| c.chars().count() > 12) {
            prop_assert!(!json.contains(cell.as_str()), "a problem never repeats a value");
        }
    }
}
