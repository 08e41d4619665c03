//! Everything that stands in the log as done: the one list of codes, with the words that people read and whether it
//! changes anything. An operation of the API is written down under its operation id. Knows no entry.

use std::str::FromStr;

/// Whether a deed changes anything.
macro_rules! effect {
    (changes) => {
        true
    };
    (looks) => {
        false
    };
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $label:literal, $effect:ident;)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $(#[doc = $label] $variant,)* }

        impl Action {
            /// Every one, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its code in the log.
            #[must_use]
            pub fn code(self) -> &'static str { match self { $(Self::$variant => $code),* } }

            /// What people read.
            #[must_use]
            pub fn label(self) -> &'static str { match self { $(Self::$variant => $label),* } }

            /// Whether it changes what is registered, who may do what, or how the system stands: neither looking nor
            /// coming and going does.
            #[must_use]
            pub fn changes(self) -> bool { match self { $(Self::$variant => effect!($effect)),* } }
        }

        impl FromStr for Action {
            type Err = Unknown;

            fn from_str(code: &str) -> Result<Self, Unknown> {
                match code { $($code => Ok(Self::$variant),)* _ => Err(Unknown) }
            }
        }
    };
}

/// No action has this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

actions! {
    SignIn = "sign_in", "登录控制台", looks;
    SignOut = "sign_out", "退出登录", looks;
    IssueChallenge = "issue_challenge", "申请设备登录随机数", looks;
    ShowMe = "show_me", "查看本人账号", looks;
    ExplainRight = "explain_right", "查询本人权限来源", looks;
    ChangePassword = "change_password", "修改本人密码", changes;
    ListSessions = "list_sessions", "查看本人登录", looks;
    EndSession = "end_session", "结束一处登录", changes;
    BeginSecondFactor = "begin_second_factor", "开始启用动态验证码", changes;
    ConfirmSecondFactor = "confirm_second_factor", "启用动态验证码", changes;
    RemoveSecondFactor = "remove_second_factor", "停用动态验证码", changes;
    StreamNotices = "stream_notices", "打开实时更新", looks;
    CreateUser = "create_user", "新建用户", changes;
    ListUsers = "list_users", "查看用户列表", looks;
    ShowUser = "show_user", "查看用户", looks;
    UpdateUser = "update_user", "修改用户", changes;
    ResetPassword = "reset_password", "重置用户密码", changes;
    ClearSecondFactor = "clear_second_factor", "停用用户的动态验证码", changes;
    UnlockUser = "unlock_user", "解除用户锁定", changes;
    ListGrants = "list_grants", "查看用户授权", looks;
    GrantRole = "grant_role", "授予角色", changes;
    RevokeGrant = "revoke_grant", "收回授权", changes;
    ListRights = "list_rights", "查看用户权限来源", looks;
    ListRoles = "list_roles", "查看角色", looks;
    OpenSync = "open_sync", "设备连接同步", looks;
    FetchBundle = "fetch_bundle", "设备下载数据包", looks;
    EnrolDevice = "enrol_device", "登记设备", changes;
    SignInDevice = "sign_in_device", "设备登录", looks;
    ListDevices = "list_devices", "查看设备列表", looks;
    ShowDevice = "show_device", "查看设备", looks;
    RevokeDevice = "revoke_device", "停用设备", changes;
    OrderWipe = "order_wipe", "下达设备擦除", changes;
    ListAlarms = "list_alarms", "查看安全告警", looks;
    ImportAreas = "import_areas", "导入区划", changes;
    ListAreas = "list_areas", "查看区划列表", looks;
    ShowAreaTree = "show_area_tree", "查看区划树", looks;
    ListAreaVersions = "list_area_versions", "查看区划历次变动", looks;
    DiffAreas = "diff_areas", "查看区划变动内容", looks;
    ShowArea = "show_area", "查看区划", looks;
    ListResidents = "list_residents", "查询居民", looks;
    CreateResident = "create_resident", "新增居民", changes;
    ShowResident = "show_resident", "查看居民", looks;
    CompareMainResidences = "compare_main_residences", "比较主居住地", looks;
    ClaimMainResidence = "claim_main_residence", "认领主居住地", changes;
    MoveMainResidence = "move_main_residence", "变更主居住地", changes;
    SetAway = "set_away", "登记外出", changes;
    EndAway = "end_away", "登记返回", changes;
    ListHouses = "list_houses", "查询房屋", looks;
    CreateHouse = "create_house", "新增房屋", changes;
    ShowHouse = "show_house", "查看房屋", looks;
    ManageHouse = "manage_house", "管理房屋", changes;
    ListResidences = "list_residences", "查询居住关系", looks;
    CreateResidence = "create_residence", "新增居住关系", changes;
    ShowRecord = "show_record", "查看档案", looks;
    UpdateRecord = "update_record", "修改档案", changes;
    ShowHistory = "show_history", "查看档案历史", looks;
    RevealRecord = "reveal_record", "查看完整证件号码", looks;
    CancelRecord = "cancel_record", "注销档案", changes;
    RestoreRecord = "restore_record", "恢复档案", changes;
    EraseRecord = "erase_record", "彻底删除档案", changes;
    ListBuildings = "list_buildings", "查看楼栋列表", looks;
    ShowBuilding = "show_building", "查看楼栋", looks;
    ListAway = "list_away", "查看外出人员", looks;
    ListFormerResidents = "list_former_residents", "查看已注销人员", looks;
    ListHouseholdRegister = "list_household_register", "查看户籍底册", looks;
    ListFieldChanges = "list_field_changes", "查看内容变动台账", looks;
    ListPopulationChanges = "list_population_changes", "查看人口变动台账", looks;
    CountPopulationChanges = "count_population_changes", "统计人口变动", looks;
    ListAddressChanges = "list_address_changes", "查看地址变动台账", looks;
    ListVisits = "list_visits", "查看走访记录", looks;
    CountVisits = "count_visits", "统计走访", looks;
    ListDueVisits = "list_due_visits", "查看到期走访", looks;
    ListConflicts = "list_conflicts", "查看待裁决列表", looks;
    ShowConflict = "show_conflict", "查看待裁决事项", looks;
    ListDeciders = "list_deciders", "查看可裁决的人", looks;
    DecideConflict = "decide_conflict", "裁决冲突", changes;
    DecideConflicts = "decide_conflicts", "批量裁决", changes;
    UndoConflict = "undo_conflict", "撤回裁决", changes;
    AssignConflict = "assign_conflict", "分派待裁决事项", changes;
    UploadImport = "upload_import", "上传导入文件", changes;
    ListImports = "list_imports", "查看导入列表", looks;
    ShowImport = "show_import", "查看导入", looks;
    MapImport = "map_import", "调整导入的列", changes;
    CheckImport = "check_import", "核对导入", changes;
    RunImport = "run_import", "开始导入", changes;
    UndoImport = "undo_import", "撤销导入", changes;
    ListImportRows = "list_import_rows", "查看导入逐行结果", looks;
    ExportImportResult = "export_import_result", "下载导入结果", looks;
    ShowImportTemplate = "show_import_template", "下载导入模板", looks;
    ListImportFields = "list_import_fields", "查看导入项目", looks;
    SearchAudit = "search_audit", "查询审计日志", looks;
    ExportAudit = "export_audit", "导出审计日志", looks;
    VerifyAudit = "verify_audit", "核验审计日志", looks;
    ListAuditSignatures = "list_audit_signatures", "查看日志签名", looks;
    SignAuditHead = "sign_audit_head", "为日志签名", changes;
    ConfirmWipe = "confirm_wipe", "设备回报擦除完成", changes;
    ExportDocument = "export_document", "导出档案全部历史", looks;
    ListAddresses = "list_addresses", "查询标准地址", looks;
    ListChecks = "list_checks", "查看居住核查列表", looks;
    ShowCheck = "show_check", "查看居住核查", looks;
    AnswerCheck = "answer_check", "答复居住核查", changes;
    ListMessages = "list_messages", "查看消息", looks;
    ListRecordPhotos = "list_record_photos", "查看档案照片列表", looks;
    OpenPhoto = "open_photo", "开始上传照片", changes;
    SendPhotoChunk = "send_photo_chunk", "上传照片", changes;
    ShowPhoto = "show_photo", "查看照片", looks;
    ShowPhotoThumbnail = "show_photo_thumbnail", "查看照片缩略图", looks;
    ShowPolicePhoto = "show_police_photo", "查看公安登记照片", looks;
    ShowDeclarations = "show_declarations", "读取档案项目说明", looks;
    ShowDescription = "show_description", "读取接口说明", looks;
    HealthLive = "health_live", "检查服务是否运行", looks;
    HealthReady = "health_ready", "检查服务是否就绪", looks;
    Metrics = "metrics", "读取运行指标", looks;
    // What the server does by itself, hears from devices, or is told by a command.
    CreateFirstAdministrator = "create_first_administrator", "创建首任管理员", changes;
    WriteImportBatch = "write_import_batch", "写入一批导入", changes;
    UndoImportBatch = "undo_import_batch", "撤销一批导入", changes;
    Sync = "sync", "设备同步", looks;
    SyncRepair = "sync_repair", "设备核对补发", looks;
    SyncPush = "sync_push", "设备上传变更", changes;
    SyncPurged = "sync_purged", "设备清除回报", changes;
    RaiseAlarm = "raise_alarm", "触发安全告警", looks;
    OpenChecks = "open_checks", "发起居住核查", changes;
    EscalateCheck = "escalate_check", "核查超期上报", changes;
    RemindReturn = "remind_return", "提醒外出人员返回", changes;
    StorePhoto = "store_photo", "照片保存完成", changes;
    ImportAddresses = "import_addresses", "导入标准地址", changes;
    Backup = "backup", "备份", looks;
    Restore = "restore", "从备份恢复", changes;
    EraseAgain = "erase_again", "恢复后再次彻底删除", changes;
    RotateKey = "rotate_key", "更换密钥", changes;
    Refused = "refused", "拒绝多个来源的请求", looks;
}
