// What is said when the server could not say it.
export const errors = {
  unreachable: '连接不上服务器，请检查网络后重试。您填写的内容还在本页，没有丢失。',
  down: '服务器暂时不能处理请求，请稍后重试；如仍不行，请联系管理员。',
  strange: '服务器的回答无法识别，请刷新页面后重试。',
  console: '页面出了问题，请刷新后重试；如仍不行，请联系管理员。',
  retry: '重试',
  requestId: '请求编号',
}
