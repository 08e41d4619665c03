//! Invented people and houses of a village: names as common as in life, numbers with their check digits, addresses of
//! estates with buildings of six floors. The same number always gives the same. Knows no register.

use doorstep_core::identity::id_number::check_digit;
use doorstep_core::ids::AreaCode;
use doorstep_core::value::{Fields, Value};

const SURNAMES: &[char] = &[
    '王', '李', '张', '刘', '陈', '杨', '黄', '赵', '吴', '周', '徐', '孙', '马', '朱', '胡', '郭',
    '何', '高', '林', '罗', '郑', '梁', '谢', '宋', '唐', '许', '韩', '冯', '邓', '曹', '彭', '曾',
    '肖', '田', '董', '袁', '潘', '于', '蒋', '蔡', '余', '杜', '叶', '程', '苏', '魏', '吕', '丁',
    '任', '沈', '姚', '卢', '姜', '崔', '钟', '谭', '陆', '汪', '范', '金', '石', '廖', '贾', '夏',
    '韦', '付', '方', '白', '邹', '孟', '熊', '秦', '邱', '江', '尹', '薛', '闫', '段', '雷', '侯',
    '龙', '史', '陶', '黎', '贺', '顾', '毛', '郝', '龚', '邵', '万', '钱', '严', '覃', '武',
];
const GIVEN: &[char] = &[
    '伟', '芳', '娜', '敏', '静', '丽', '强', '磊', '军', '洋', '勇', '艳', '杰', '娟', '涛', '明',
    '超', '秀', '霞', '平', '刚', '桂', '英', '华', '玉', '兰', '红', '梅', '建', '国', '志', '文',
    '海', '云', '春', '雪', '琳', '晶', '欣', '宇', '浩', '然', '子', '涵', '梓', '轩', '雨', '佳',
    '怡', '思', '嘉', '俊', '豪', '天', '翔', '晓', '东', '波', '斌', '辉', '鹏', '飞', '凯', '龙',
    '旭', '阳', '立', '新', '永', '生', '金', '福', '荣', '贵', '祥', '宝', '珍', '凤', '琴', '莲',
    '月', '香', '菊', '翠', '瑞', '智', '勤', '慧', '颖', '洁', '倩', '婷', '雯', '蓉', '薇', '悦',
    '诗', '琪', '晨', '曦',
];
const ROADS: &[&str] = &[
    "和平路",
    "建国东路",
    "人民路",
    "中山南路",
    "陕西北路",
    "复兴中路",
    "淮海西路",
    "长宁路",
    "虹桥路",
    "漕溪路",
    "天山路",
    "延安西路",
    "江苏路",
    "武宁路",
    "曹杨路",
    "中山北路",
    "大连路",
    "控江路",
    "五角场路",
    "张杨路",
];
/// People of a house.
pub(super) const TO_A_HOUSE: usize = 3;
/// Houses of a building.
const TO_A_BUILDING: usize = 24;
/// Buildings of a lane.
const TO_A_LANE: usize = 20;

/// A number in which neighbours have nothing in common.
fn mixed(number: usize, salt: u64) -> usize {
    let mut x = (number as u64)
        .wrapping_add(salt)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x >> 33) as usize
}

/// Text fields.
fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    pairs
        .map(|(key, text)| (key.to_owned(), Value::from(text)))
        .into()
}

/// The name of a resident of the city.
pub(super) fn name(number: usize) -> String {
    // Common surnames are far more common than rare ones.
    let share = mixed(number, 1) % SURNAMES.len();
    let surname = SURNAMES[share * (mixed(number, 2) % SURNAMES.len()) / SURNAMES.len()];
    let mut name = String::from(surname);
    name.push(GIVEN[mixed(number, 3) % GIVEN.len()]);
    if !mixed(number, 4).is_multiple_of(5) {
        name.push(GIVEN[mixed(number, 5) % GIVEN.len()]);
    }
    name
}

/// Their ID number.
pub(super) fn id_number(number: usize) -> String {
    let (year, month, day) = (
        1940 + number / 372_000 % 70,
        1 + number / 31_000 % 12,
        1 + number / 1_000 % 28,
    );
    let body = format!("310101{year:04}{month:02}{day:02}{:03}", number % 1_000);
    let check = check_digit(&body).unwrap_or('0');
    format!("{body}{check}")
}

/// Their phone.
pub(super) fn phone(number: usize) -> String {
    format!("139{:08}", mixed(number, 6) % 100_000_000)
}

/// The address of a house of the village with this number.
pub(super) fn address(village: usize, house: usize) -> String {
    let (building, room) = (house / TO_A_BUILDING, house % TO_A_BUILDING);
    let road = ROADS[village % ROADS.len()];
    let lane = 1 + village / ROADS.len() * 10 + building / TO_A_LANE;
    format!(
        "{road}{lane}弄{}号{}0{}室",
        1 + building % TO_A_LANE,
        1 + room / 4,
        1 + room % 4
    )
}

/// A resident of the city.
pub(super) fn resident(number: usize, area: AreaCode) -> Fields {
    let id = id_number(number);
    let birth = format!("{}-{}-{}", &id[6..10], &id[10..12], &id[12..14]);
    let sex = if id.as_bytes()[16] % 2 == 1 { "1" } else { "2" };
    let kind = if mixed(number, 7).is_multiple_of(3) {
        "02"
    } else {
        "01"
    };
    let mut fields = fields([
        ("name", name(number)),
        ("sex", sex.to_owned()),
        ("birth_date", birth),
        ("certificate_kind", "111".to_owned()),
        ("id_number", id),
        ("phone", phone(number)),
        ("population_kind", kind.to_owned()),
        ("nationality", "01".to_owned()),
    ]);
    typed(&mut fields, "resident", area);
    fields
}

/// A house.
pub(super) fn house(village: usize, house: usize, area: AreaCode) -> Fields {
    let mut fields = fields([
        ("address", address(village, house)),
        ("house_use", "1".to_owned()),
    ]);
    typed(&mut fields, "house", area);
    fields
}

/// Where a resident lives.
pub(super) fn residence(resident: &str, house: &str, address: String, area: AreaCode) -> Fields {
    let mut fields = fields([
        ("resident", resident.to_owned()),
        ("house", house.to_owned()),
        ("kind", "living".to_owned()),
        ("address", address),
    ]);
    fields.insert("main".to_owned(), true.into());
    typed(&mut fields, "residence", area);
    fields
}

fn typed(fields: &mut Fields, record_type: &str, area: AreaCode) {
    fields.insert("_type".to_owned(), record_type.into());
    fields.insert("_v".to_owned(), Value::Int(1));
    fields.insert("_area".to_owned(), area.to_string().into());
}
