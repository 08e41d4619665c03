//! Files as offices keep them: workbooks, old encodings, heads of their own.

use super::*;

#[tokio::test]
async fn workbooks_and_old_encodings_are_read_and_heads_can_be_mapped_by_hand() {
    let server = TestServer::open_city().await.unwrap();
    let supervisor = server.person(Role::Supervisor, VILLAGE).await.unwrap();
    let (gb, _, _) = encoding_rs::GB18030
        .encode("房屋编号,地点,居村委编码,房屋用途\nH1,陕西中路12弄28号1702室,310101002001,自用\n");
    let reply = upload(
        &server,
        &supervisor,
        &format!("type=house&area={VILLAGE}&then=run"),
        gb.to_vec(),
    )
    .await;
    assert_eq!(
        (reply.status, &reply.body["error"]["fields"][0]["code"]),
        (422, &json!("missing_head")),
        "{}",
        reply.body
    );
    let reply = upload(
        &server,
        &supervisor,
        &format!("type=house&area={VILLAGE}"),
        gb.to_vec(),
    )
    .await;
    assert_eq!(
        (reply.status, &reply.body["status"]),
        (201, &json!("uploaded")),
        "{}",
        reply.body
    );
    assert_eq!(reply.body["columns"][1]["field"], Json::Null);
    let id = reply.body["id"].as_str().unwrap().to_owned();
    let run = |path: &'static str, body: Option<Json>, method: &'static str| {
        let path = format!("/api/imports/{id}/{path}");
        let (server, token) = (&server, supervisor.token.clone());
        async move {
            server
                .send(method, &path, Some(&token), body)
                .await
                .unwrap()
        }
    };
    assert_eq!(
        run("run", None, "POST").await.code(),
        "wrong_status",
        "first the check"
    );
    let wrong = run("mapping", Some(json!({ "columns": [{ "column": 9, "field": "address" }, { "column": 2, "field": "nickname" }] })), "PUT").await;
    assert_eq!(
        wrong.body["error"]["fields"].as_array().unwrap().len(),
        2,
        "{}",
        wrong.body
    );
    let mapped = run(
        "mapping",
        Some(json!({ "columns": [{ "column": 2, "field": "address" }] })),
        "PUT",
    )
    .await;
    assert_eq!(
        (mapped.status, &mapped.body["columns"][1]["field"]),
        (200, &json!("address")),
        "{}",
        mapped.body
    );
    assert_eq!(run("check", None, "POST").await.status, 202);
    ended(&server, &supervisor, &id).await;
    assert_eq!(run("run", None, "POST").await.status, 202);
    assert_eq!(ended(&server, &supervisor, &id).await["counts"]["new"], 1);

    let book = upload(
        &server,
        &supervisor,
        &format!("type=house&area={VILLAGE}&then=run&name=houses.xlsx"),
        workbook(),
    )
    .await;
    assert_eq!(book.status, 201, "{}", book.body);
    let done = ended(&server, &supervisor, book.body["id"].as_str().unwrap()).await;
    assert_eq!(
        (&done["counts"]["new"], &done["file_name"]),
        (&json!(1), &json!("houses.xlsx")),
        "{done}"
    );
    let house = record(&rows(&server, &supervisor, &done).await[0]);
    assert_eq!(
        server.value_of(house, "floor_area_m2").await.unwrap(),
        Some("144.3".into())
    );
    let template = server
        .get(&supervisor, "/api/import-templates?type=resident")
        .await
        .unwrap();
    assert!(
        template.as_str().unwrap().contains("姓名")
            && template.as_str().unwrap().contains("居住地址")
    );
}

/// The least workbook: one sheet, inline strings and a number.
fn workbook() -> Vec<u8> {
    use std::io::Write;
    let text = |text: &str| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#);
    let heads: String = ["社区房屋编号", "居住地址", "居村委编码", "房屋用途"]
        .map(text)
        .concat();
    let cells: String = ["H2", "陕西中路12弄28号1703室", "310101002001", "自用"]
        .map(text)
        .concat();
    let sheet = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row>{heads}{}</row><row>{cells}<c><v>144.3</v></c></row></sheetData></worksheet>"#,
        text("面积")
    );
    let parts = [
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>"#,
        ),
        (
            "_rels/.rels",
            r#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        (
            "xl/workbook.xml",
            r#"<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>"#,
        ),
        (
            "xl/_rels/workbook.xml.rels",
            r#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/worksheets/sheet1.xml", sheet.as_str()),
    ];
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, body) in parts {
        writer
            .start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(body.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
