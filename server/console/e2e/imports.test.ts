// Registers from files: what can't be read is said kindly, wrong rows are named, what was written can be taken back.
import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { enter, expect, test } from './test'
import { COMMITTEE, type Town } from './town'

const HEADS = '姓名,性别,出生日期,手机号码,居住地址,居村委编码,人员类别'
let count = 0

/** A row of someone invented, at a place of their own. */
function row(name: string, area = COMMITTEE): string {
  count++
  return `${name},女,1971-03-${String((count % 28) + 1).padStart(2, '0')},,凤阳中路${300 + count}弄1号101室,${area},来沪`
}

async function choose(page: Page, name: string, content: string | Buffer): Promise<void> {
  const buffer = typeof content === 'string' ? Buffer.from(content) : content
  await page.locator('#import-file').setInputFiles({ name, mimeType: 'text/csv', buffer })
  await page.getByRole('button', { name: '上传并查看' }).click()
}

/** Brings a file in up to the verdicts of its rows. */
async function bring(page: Page, town: Town, name: string, rows: string[]): Promise<void> {
  await enter(page, town, town.people.zhou, '/imports/new')
  await choose(page, name, `${HEADS}\n${rows.join('\n')}\n`)
  await page.getByRole('button', { name: '开始核对' }).click()
  await expect(page.getByRole('heading', { name: /核对完成/ })).toBeVisible()
}

async function found(town: Town, name: string): Promise<number> {
  const query = `/api/residents?text=${encodeURIComponent(name)}&area=${COMMITTEE}`
  return ((await town.ask(town.people.zhou, 'GET', query))['items'] as unknown[]).length
}

test('a file that is no table, empty or garbled is refused with what to do', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/imports')
  await page.getByRole('button', { name: '新的导入' }).waitFor()
  await page.keyboard.press('n')
  await page.waitForURL('**/imports/new')
  for (const [name, content, words] of [
    ['台账.csv', Buffer.from('%PDF-1.7\n1 0 obj <<>>'), '这是 PDF 文件，不是表格'],
    ['空.csv', Buffer.alloc(0), '文件是空的'],
    ['乱码.csv', Buffer.from([0xff, 0x80, 0x80, 0xff, 0x0a]), '看不出文件的编码'],
    ['表头.csv', Buffer.from(`${HEADS}\n`), '文件只有表头，没有数据行'],
    ['坏.xlsx', Buffer.from('PK\u0003\u0004nothing'), '打不开这个 Excel 文件'],
  ] as const) {
    await choose(page, name, content)
    const refusal = page.getByRole('alert').filter({ hasText: '这个文件不能导入' })
    await expect(refusal).toContainText(words)
    await expect(refusal).toContainText('文件没有保存到平台')
  }
  expect(page.url()).toContain('/imports/new')
})

test('a column that the template does not know is sent to its field by hand', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/imports/new')
  const body = row('柳映月').split(',')
  await choose(page, '别名.csv', `${HEADS.replace('姓名', '住户称呼')},车位\n${body.join(',')},B12\n`)
  await expect(page.getByText('缺少“姓名”一列')).toBeVisible()
  await expect(page.getByText('第 8 列“车位”不在模板中，导入时略过')).toBeVisible()
  await expect(page.getByRole('button', { name: '开始核对' })).toBeDisabled()
  const field = page.getByRole('combobox', { name: '第 1 列 住户称呼 对应项目' })
  await field.click()
  await field.fill('姓名')
  await page.getByRole('option', { name: '姓名（必填）' }).click()
  await expect(page.getByText('对应关系有改动，还没有保存')).toBeVisible()
  await page.getByRole('button', { name: '保存对应关系' }).click()
  await expect(page.getByText('缺少“姓名”一列')).toHaveCount(0)
  await page.getByRole('button', { name: '开始核对' }).click()
  await expect(page.getByRole('button', { name: /^新增/ })).toContainText('1')
})

test('what is not saved of the columns is neither passed over nor lost', async ({ page, town }) => {
  await bring(page, town, '列没有存.csv', [row('程门雪')])
  const address = page.url()
  const send = page.getByRole('button', { name: '开始导入' })
  await expect(send).toBeEnabled()
  await page.getByRole('combobox', { name: '第 4 列 手机号码 对应项目' }).click({ force: true })
  await page.getByRole('option', { name: '不导入这一列' }).click()
  await expect(page.getByText('对应关系有改动，还没有保存')).toBeVisible()
  await expect(send).toBeDisabled()
  await expect(page.getByRole('button', { name: '重新核对' })).toBeDisabled()
  // Every way out asks first.
  page.removeAllListeners('dialog')
  const asked: string[] = []
  const stay = async (leave: () => Promise<void>) => {
    page.once('dialog', dialog => {
      asked.push(dialog.message())
      void dialog.dismiss()
    })
    await leave()
    await expect(page.getByText('对应关系有改动，还没有保存')).toBeVisible()
    expect(page.url()).toBe(address)
  }
  await stay(() => page.getByRole('button', { name: '返回列表' }).click())
  await page.getByRole('heading', { level: 1 }).click()
  await stay(() => page.keyboard.press('Escape'))
  expect(asked).toEqual(Array(2).fill('对应关系有改动，还没有保存，离开会丢失。确定离开吗？'))
  // Saved by someone else meanwhile, but no column of this one: the choice stays, and is saved at the second go.
  const id = address.split('/').at(-1) ?? ''
  await town.ask(town.people.he, 'PUT', `/api/imports/${id}/mapping`, { columns: [] })
  await page.getByRole('button', { name: '保存对应关系' }).click()
  await expect(page.locator('.el-message', { hasText: '这次导入刚被别人改动' })).toBeVisible()
  await expect(page.getByText('对应关系有改动，还没有保存')).toBeVisible()
  await page.getByRole('button', { name: '保存对应关系' }).click()
  await expect(page.getByText('对应关系有改动，还没有保存')).toHaveCount(0)
  await expect(page.getByRole('button', { name: '开始核对' })).toBeEnabled()
  await page.getByRole('button', { name: '返回列表' }).click()
  await expect(page.getByRole('table', { name: '历次导入' })).toBeVisible()
})

test('a check that broke off leads to another check, a run that did asks before it goes on', async ({ page, town }) => {
  await bring(page, town, '断了.csv', [row('薄暮')])
  const id = page.url().split('/').at(-1) ?? ''
  let step = 'check'
  const asked: string[] = []
  await page.route(`**/api/imports/${id}`, async route => {
    const answer = await route.fetch()
    const body = (await answer.json()) as object
    await route.fulfill({ response: answer, json: { ...body, status: 'failed', failed_step: step, failure: 'x' } })
  })
  page.on('request', request => {
    if (request.method() === 'POST' && request.url().includes(id)) asked.push(request.url().split('/').at(-1) ?? '')
  })
  await page.reload()
  await expect(page.getByRole('heading', { name: /核对中断/ })).toBeVisible()
  await expect(page.getByText('还没有写入任何内容')).toBeVisible()
  await expect(page.getByRole('button', { name: /继续导入|撤销/ })).toHaveCount(0)
  await expect(page.getByRole('button', { name: '重新核对' })).toBeEnabled()

  step = 'run'
  await page.reload()
  await page.getByRole('button', { name: '继续导入' }).click()
  const ask = page.getByRole('dialog', { name: '继续导入' })
  await expect(ask).toContainText('这个文件的 1 行')
  await ask.getByRole('button', { name: '取消' }).click()
  expect(asked, 'nothing is begun unasked').toEqual([])

  step = 'check'
  await page.reload()
  await page.getByRole('button', { name: '重新核对' }).click()
  await expect.poll(() => asked).toEqual(['check'])
})

test('a file that someone else brought in is taken for a purpose, by who exports', async ({ page, town, browser }) => {
  await bring(page, town, '别人的台账.csv', [row('竺可安')])
  const path = new URL(page.url()).pathname
  const theirs = await (await browser.newContext()).newPage()
  await enter(theirs, town, town.people.areas, path)
  await expect(theirs.getByRole('table', { name: '逐行结果' }).locator('tbody tr')).toHaveCount(1)
  await expect(theirs.getByRole('button', { name: '下载全部结果' })).toHaveCount(0)
  await theirs.context().close()

  const colleague = await (await browser.newContext()).newPage()
  await enter(colleague, town, town.people.he, path)
  await colleague.getByRole('button', { name: '下载全部结果' }).click()
  const dialog = colleague.getByRole('dialog')
  await expect(dialog).toContainText('这份文件是别人导入的')
  await dialog.getByText('裁决或更正信息').click()
  const [download] = await Promise.all([
    colleague.waitForEvent('download'),
    dialog.getByRole('button', { name: '下载' }).click(),
  ])
  expect(readFileSync(await download.path(), 'utf8')).toContain('竺可安')
  await colleague.context().close()
})

test('wrong rows are named by row and column; the good ones are written, and taken back', async ({ page, town }) => {
  const rows = [row('竺可心'), `,女,明天,,凤阳中路9号,${COMMITTEE},来沪`, row('竺可意'), row('竺可人', '310104003001')]
  await bring(page, town, '月度台账.csv', rows)
  await expect(page.getByRole('button', { name: /^有错误/ })).toContainText('2')
  expect(await found(town, '竺可心'), 'a check writes nothing').toBe(0)

  await page.getByRole('button', { name: /^有错误/ }).click()
  const lines = page.getByRole('table', { name: '逐行结果' }).locator('tbody tr')
  await expect(lines).toHaveCount(2)
  await expect(lines.first()).toContainText('第 1 列“姓名”')
  await expect(lines.first()).toContainText('第 3 列“出生日期”')
  await expect(lines.first().locator('td').first()).toHaveText('3')
  await expect(lines.nth(1)).toContainText('不在导入的区划内')

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: '下载有错误的行' }).click(),
  ])
  expect(download.suggestedFilename()).toBe('月度台账-有错误的行.csv')
  const file = readFileSync(await download.path(), 'utf8')
  expect(file).toContain('明天')
  expect(file).not.toContain('竺可心')

  await page.getByRole('button', { name: '开始导入' }).click()
  const ask = page.getByRole('dialog', { name: '开始导入' })
  await expect(ask).toContainText('写入 2 行')
  await expect(ask).toContainText('有错误的 2 行不会导入')
  await ask.getByRole('button', { name: '开始导入' }).click()
  // Left at once, and come back to from the list.
  await page.getByRole('button', { name: '返回列表' }).click()
  const line = page.getByRole('table', { name: '历次导入' }).locator('tr', { hasText: '月度台账.csv' })
  await expect(line).toContainText('写入 2 行，错误 2 行')
  expect(await found(town, '竺可心')).toBe(1)

  await line.getByRole('link').click()
  await expect(page.getByRole('heading', { name: /导入完成/ })).toBeVisible()
  // From the result to a person's file, and back.
  await page.getByRole('link', { name: '查看档案' }).first().click()
  await expect(page.getByRole('heading', { level: 1, name: /^竺/ })).toBeVisible()
  await expect(page).toHaveURL(/\/people\/[0-9a-f-]+$/)
  await page.goBack()
  await page.getByRole('button', { name: '撤销这次导入' }).click()
  const undo = page.getByRole('dialog', { name: '撤销导入' })
  await expect(undo).toContainText('2 行将恢复原状')
  await undo.getByRole('button', { name: '撤销这次导入' }).click()
  await expect(page.getByRole('heading', { name: /导入已撤销/ })).toBeVisible()
  await expect(page.getByText('2 行已恢复原状')).toBeVisible()
  expect(await found(town, '竺可心')).toBe(0)
})

test('the same file again is pointed out', async ({ page, town }) => {
  const rows = [row('连又晴')]
  await bring(page, town, '第一次.csv', rows)
  await page.goto(`${town.url}/imports/new`)
  await choose(page, '第二次.csv', `${HEADS}\n${rows.join('\n')}\n`)
  await page.getByRole('link', { name: '查看那一次' }).click()
  await expect(page.getByRole('heading', { name: /第一次\.csv/ })).toBeVisible()
})

test('imports of another street are not listed, and their address finds nothing', async ({ page, town }) => {
  await bring(page, town, '只给本居委.csv', [row('景行止')])
  const address = page.url()
  await page.evaluate(() => sessionStorage.clear())
  await enter(page, town, town.people.elsewhere, '/imports')
  await expect(page.getByText('还没有导入过文件')).toBeVisible()
  await page.goto(address)
  await expect(page.getByRole('alert')).toContainText('找不到')
})
