// The system's state: what the node counts is read right, and said in words.
import { enter, expect, test } from './test'

test('the page tells that the node serves, what it did and what it refused', async ({ page, town }) => {
  await fetch(`${town.url}/api/auth/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ login: 'nobody.at.all', password: 'Wrong-Guess-1' }),
  })
  await enter(page, town, town.people.security, '/system')
  await expect(page.getByText('运行正常')).toBeVisible()
  const fact = (name: string) => page.locator('dl > div', { hasText: name }).locator('dd')
  await expect(fact('处理请求')).toHaveText(/^[1-9][\d,]*$/)
  await expect(fact('已导入的行')).toHaveText(/^[1-9][\d,]*$/)
  const refused = page.getByRole('table', { name: '告警与拒绝' }).locator('tr', { hasText: '登录名或密码错误' })
  await expect(refused).toContainText('拒绝')
  await expect(refused.locator('td').last()).toHaveText(/^[1-9]\d*$/)
})

test('an alarm stands first, and a node that can not serve says why', async ({ page, town }) => {
  await page.route('**/metrics', route =>
    route.fulfill({
      contentType: 'text/plain',
      body: [
        '# TYPE doorstep_alarms_total counter',
        'doorstep_alarms_total{code="forged_actor"} 3',
        'sign_ins_refused_total{reason="wrong_code"} 12',
        'http_request_seconds_bucket{route="/api/users",le="0.01"} 90',
        'http_request_seconds_bucket{route="/api/users",le="0.05"} 96',
        'http_request_seconds_bucket{route="/api/users",le="+Inf"} 100',
        'http_request_seconds_sum{route="/api/users"} 1.5',
        'http_request_seconds_count{route="/api/users"} 100',
        'http_request_seconds_sum{route="/api/live"} 5000',
        'http_request_seconds_count{route="/api/live"} 1',
      ].join('\n'),
    }),
  )
  await page.route('**/health/ready', route =>
    route.fulfill({ status: 503, json: { error: { code: 'not_ready', message: '数据库暂时连接不上', fields: [] } } }),
  )
  await enter(page, town, town.people.security, '/system')
  await expect(page.getByText('暂时不能服务')).toBeVisible()
  await expect(page.getByText('数据库暂时连接不上')).toBeVisible()
  const rows = page.getByRole('table', { name: '告警与拒绝' }).locator('tbody tr')
  await expect(rows.first()).toContainText('冒用其他设备的身份提交修改')
  await expect(rows.nth(1)).toContainText('登录被拒绝：动态验证码错误')
  const fact = (name: string) => page.locator('dl > div', { hasText: name }).locator('dd')
  await expect(fact('平均响应')).toHaveText('15 毫秒')
  await expect(fact('95% 的请求快于')).toHaveText('50 毫秒')
})
