// The town that the browser's tests run on: a real server with a database of its own, people with accounts, residents,
// and devices on the command line that go offline and disagree. Everyone in it is invented.
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { picture } from './picture'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../../..', import.meta.url))
const PASSWORD = 'Steady-Lamp-2026'

/** 云南中路居委会, whose register is in the fixtures. */
export const COMMITTEE = '310101002001'
/** A committee of another street. */
export const ELSEWHERE = '310101013001'
export const CITY = '310000000000'

/** An account. */
export interface Person {
  id: string
  login: string
  name: string
  password: string
  token: string
}

/** Whose device. */
export type Holder = 'li' | 'wang' | 'chen' | Person

/** A collector who will have left. */
export interface Leaver {
  person: Person
  /** Ends the right, then sends what the device still has. */
  leave(): Promise<void>
}

/** A record as a device lists it. */
export interface Listed {
  id: string
  fields: Record<string, unknown>
}

/** The program under test. */
function program(): string {
  const given = process.env['DOORSTEP_PROGRAM']
  const places = given ? [given] : ['debug', 'release'].map(kind => join(repository, 'target', kind, 'doorstep'))
  const found = places.find(existsSync)
  if (!found) throw new Error(`doorstep is missing (${places.join(', ')}): cargo build -p doorstep-cli`)
  return resolve(found)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise(done => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A server in a folder of its own. */
export class Town {
  readonly program = program()
  url = ''
  people = {} as Record<'areas' | 'security' | 'auditor' | 'zhou' | 'he' | 'elsewhere' | 'li' | 'wang' | 'chen', Person>
  /** Residents that no test has used yet. */
  private residents: Listed[] = []
  private houses: Listed[] = []
  private server: ChildProcess | undefined
  private readonly kept: boolean
  readonly folder: string

  /** In a folder of its own that goes with it, or in one that stays. */
  constructor(folder?: string) {
    this.kept = folder !== undefined
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'doorstep-console-'))
  }

  /** Builds it: server, accounts, register, two devices. */
  static async build(rows = 120): Promise<Town> {
    const town = await Town.empty()
    try {
      await town.importRegister(rows)
      await town.enrol('li', '李静的手机')
      await town.enrol('wang', '王强的手机')
      const listed = async (type: string) => (await town.device('li', 'list', type, '--limit', '500')) as Listed[]
      town.residents = await listed('resident')
      town.houses = await listed('house')
      return town
    } catch (cause) {
      await town.close()
      throw cause
    }
  }

  /** Server and accounts, nobody registered. */
  static async empty(folder?: string): Promise<Town> {
    const town = new Town(folder)
    try {
      await town.found()
      await town.serve()
      await town.appoint()
      return town
    } catch (cause) {
      await town.close()
      throw cause
    }
  }

  /** Notes who has an account, for `reopen`. */
  save(): void {
    writeFileSync(join(this.folder, 'people.json'), JSON.stringify(this.people))
  }

  /** A town that was saved, served again; none, where there is none. */
  static async reopen(folder: string): Promise<Town | undefined> {
    const saved = join(folder, 'people.json')
    if (!existsSync(saved)) return undefined
    const town = new Town(folder)
    town.people = JSON.parse(readFileSync(saved, 'utf8')) as Town['people']
    await town.serve()
    for (const person of Object.values(town.people)) {
      const { login, password } = person
      person.token = String((await town.ask(undefined, 'POST', '/api/auth/sign-in', { login, password }))['token'])
    }
    return town
  }

  /** Runs a command of the program; its answer as JSON. */
  async command(args: string[], env: Record<string, string> = {}): Promise<unknown> {
    const { stdout } = await run(this.program, [...args, '--json'], {
      env: { ...process.env, ...env },
      maxBuffer: 64 * 1024 * 1024,
    })
    return stdout.trim() === '' ? undefined : JSON.parse(stdout)
  }

  private async found(): Promise<void> {
    const data = join(this.folder, 'server')
    await this.command(['areas', 'import', join(repository, 'tests/fixtures/shanghai-areas.csv'), '--data', data])
    for (const [login, role, name] of [
      ['areas', 'area_administrator', '区划管理员'],
      ['security', 'security_administrator', '安全管理员'],
      ['auditor', 'auditor', '审计员'],
    ] as const) {
      const args = ['admin', 'create', '--data', data, '--login', login, '--role', role, '--name', name]
      await this.command(args, { DOORSTEP_PASSWORD: `First-${PASSWORD}` })
    }
  }

  private async serve(): Promise<void> {
    const data = join(this.folder, 'server')
    const port = await freePort()
    this.url = `http://127.0.0.1:${port}`
    this.server = spawn(this.program, ['serve', '--data', data, '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' })
    for (let tries = 0; tries < 300; tries++) {
      const ready = await fetch(`${this.url}/health/ready`).catch(() => undefined)
      if (ready?.ok) return
      await new Promise(done => setTimeout(done, 100))
    }
    throw new Error('the server did not come up')
  }

  /** Asks the server, as a person or as nobody. */
  async ask(as: Person | undefined, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(as && { authorization: `Bearer ${as.token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
  }

  /** Signs in with a temporary password and sets one that stays. */
  private async first(login: string, name: string, temporary: string): Promise<Person> {
    const opened = await this.ask(undefined, 'POST', '/api/auth/sign-in', { login, password: temporary })
    const person = { id: String(opened['user']), login, name, password: PASSWORD, token: String(opened['token']) }
    await this.ask(person, 'POST', '/api/auth/password', { current: temporary, new: PASSWORD })
    return person
  }

  /** An account that has not been signed in with yet, with its temporary password. */
  async account(login: string, name: string, role: string, area: string): Promise<{ id: string; temporary: string }> {
    const by = role === 'auditor' || role === 'security_administrator' ? this.people.security : this.people.areas
    const created = await this.ask(by, 'POST', '/api/users', { login, name, area })
    const id = String((created['user'] as Record<string, unknown>)['id'])
    await this.ask(by, 'POST', `/api/users/${id}/grants`, { role, area })
    return { id, temporary: String(created['temporary_password']) }
  }

  /** An account that is ready to use. */
  async person(login: string, name: string, role: string, area = COMMITTEE): Promise<Person> {
    const { temporary } = await this.account(login, name, role, area)
    return this.first(login, name, temporary)
  }

  private async appoint(): Promise<void> {
    for (const [login, name] of [
      ['areas', '区划管理员'],
      ['security', '安全管理员'],
      ['auditor', '审计员'],
    ] as const) {
      this.people[login] = await this.first(login, name, `First-${PASSWORD}`)
    }
    this.people.zhou = await this.person('zhou.min', '周敏', 'supervisor')
    this.people.he = await this.person('he.ping', '何平', 'supervisor')
    this.people.elsewhere = await this.person('tang.yu', '唐瑜', 'supervisor', ELSEWHERE)
    this.people.li = await this.person('li.jing', '李静', 'collector')
    this.people.wang = await this.person('wang.qiang', '王强', 'collector')
    this.people.chen = await this.person('chen.chen', '陈晨', 'collector')
  }

  private async importRegister(rows: number): Promise<void> {
    for (const type of ['house', 'resident'] as const) {
      const file = readFileSync(join(repository, `tests/fixtures/community/${type}s.csv`), 'utf8')
      const lines = file.split('\n').slice(0, rows + 1)
      await this.bring(this.people.zhou, type, COMMITTEE, lines.join('\n') + '\n')
    }
  }

  /** Brings a file in, as a person does: judged, then written. Told how far it is. */
  async bring(
    by: Person,
    type: 'house' | 'resident',
    area: string,
    csv: string,
    told: (status: string, percent: number) => void = () => undefined,
  ): Promise<void> {
    const query = `type=${type}&area=${area}&name=${type}s.csv&then=check`
    const made = await this.ask(by, 'POST', `/api/imports?${query}`, csv)
    const path = `/api/imports/${String(made['id'])}`
    const reaches = async (status: string) => {
      for (;;) {
        const now = await this.ask(by, 'GET', path)
        if (now['status'] === status) return
        if (now['status'] === 'failed') throw new Error(`${type}s.csv: ${String(now['failure'])}`)
        told(String(now['status']), Number(now['percent']))
        await new Promise(done => setTimeout(done, 250))
      }
    }
    await reaches('checked')
    await this.ask(by, 'POST', `${path}/run`, {})
    await reaches('done')
  }

  /** Waits until something holds; 60 s at most. */
  async until(holds: () => Promise<boolean>): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      if (await holds()) return
      await new Promise(done => setTimeout(done, 100))
    }
    throw new Error('waited in vain')
  }

  /** A device of a collector's, enrolled and filled. */
  async enrol(who: Holder, name: string): Promise<void> {
    const person = typeof who === 'string' ? this.people[who] : who
    const args = ['device', 'enroll', '--dir', this.dir(who), '--server', this.url]
    await this.command([...args, '--login', person.login, '--name', name], { DOORSTEP_PASSWORD: person.password })
    await this.device(who, 'sync')
  }

  /** A command of a device: `device('li', 'set', id, '姓名=…')`. */
  device(who: Holder, command: string, ...args: string[]): Promise<unknown> {
    return this.command(['device', command, ...args, '--dir', this.dir(who)])
  }

  private dir(who: Holder): string {
    return join(this.folder, typeof who === 'string' ? who : who.login)
  }

  /** A collector with a device whose right to the committee ends while it has unsent work. */
  async leaver(login: string, name: string): Promise<Leaver> {
    const person = await this.person(login, name, 'collector')
    await this.enrol(person, `${name}的手机`)
    const leave = async () => {
      await this.moveAway(person)
      await this.device(person, 'sync')
    }
    return { person, leave }
  }

  /** Takes a person's rights, and gives one in another village instead, which keeps the account at work. */
  async moveAway(person: Person): Promise<void> {
    const grants = await this.ask(this.people.areas, 'GET', `/api/users/${person.id}/grants`)
    const elsewhere = { role: 'collector', area: ELSEWHERE }
    await this.ask(this.people.areas, 'POST', `/api/users/${person.id}/grants`, elsewhere)
    for (const grant of grants as unknown as { id: string }[]) {
      await this.ask(this.people.areas, 'DELETE', `/api/grants/${grant.id}`)
    }
  }

  /** A collector's phone is copied, files and all, and both go on: an alarm. Gives whose it was. */
  async alarm(login: string, name: string): Promise<Person> {
    const person = await this.person(login, name, 'collector')
    await this.enrol(person, `${name}的手机`)
    const fields = ['姓名=安宁', '性别=女', '人员类别=01']
    const { id } = (await this.device(person, 'new', 'resident', ...fields)) as { id: string }
    await this.sync(person)
    const copy = { ...person, login: `${login}.copy` }
    cpSync(this.dir(person), this.dir(copy), { recursive: true })
    await this.device(person, 'set', id, '姓名=安凝')
    await this.device(copy, 'set', id, '姓名=安柠')
    await this.sync(person, copy)
    return person
  }

  /** The file of a picture, for a device to add. */
  photo(seed: number): string {
    const file = join(this.folder, `photo-${seed}.png`)
    writeFileSync(file, picture(seed))
    return file
  }

  /** A resident that no test has used. */
  resident(): Listed {
    const next = this.residents.shift()
    if (!next) throw new Error('no resident is left: build a larger town')
    return next
  }

  house(): Listed {
    const next = this.houses.shift()
    if (!next) throw new Error('no house is left: build a larger town')
    return next
  }

  /** Two devices change the same thing without a signal; gives the conflict's id. */
  async dispute(fields: [string, string], resident = this.resident()): Promise<{ conflict: string; resident: Listed }> {
    await this.device('li', 'set', resident.id, fields[0])
    await this.device('wang', 'set', resident.id, fields[1])
    await this.sync('li', 'wang')
    return { conflict: await this.conflictOf(resident.id), resident }
  }

  /** Two devices write the end of a name differently; gives the conflict's id. */
  async disputeName(one: string, two: string): Promise<string> {
    const resident = this.resident()
    const stem = [...String(resident.fields['name'])].slice(0, -1).join('')
    return (await this.dispute([`姓名=${stem}${one}`, `姓名=${stem}${two}`], resident)).conflict
  }

  async sync(...devices: Holder[]): Promise<void> {
    for (const who of devices) await this.device(who, 'sync')
  }

  /** The newest open conflict of a record. */
  async conflictOf(record: string): Promise<string> {
    const list = await this.ask(this.people.zhou, 'GET', `/api/conflicts?record=${record}`)
    const item = (list['items'] as { id: string }[]).at(-1)
    if (!item) throw new Error(`no conflict of ${record}`)
    return item.id
  }

  /** Two devices record the same person; gives the two records. */
  async twins(name: string): Promise<[string, string]> {
    const number = idNumber()
    const fields = [`姓名=${name}`, '性别=女', '人员类别=01', `证件号码=${number}`, '证件种类=111']
    const made: string[] = []
    for (const who of ['li', 'wang'] as const) {
      const answer = (await this.device(who, 'new', 'resident', ...fields)) as { id: string }
      made.push(answer.id)
    }
    await this.sync('li', 'wang', 'li')
    return [made[0] ?? '', made[1] ?? '']
  }

  async close(): Promise<void> {
    const server = this.server
    if (server && server.exitCode === null) {
      const ended = new Promise(done => server.once('exit', done))
      server.kill('SIGTERM')
      await Promise.race([ended, new Promise(done => setTimeout(done, 20_000))])
      if (server.exitCode === null) server.kill('SIGKILL')
    }
    if (!this.kept) rmSync(this.folder, { recursive: true, force: true })
  }
}

/** An invented number. */
function idNumber(): string {
  const day = `${1960 + randomInt(40)}0${1 + randomInt(9)}1${randomInt(10)}`
  return checked(`310101${day}${String(randomInt(1000)).padStart(3, '0')}`)
}

/** Seventeen digits with their check digit (GB 11643-1999). */
export function checked(body: string): string {
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]
  const sum = weights.reduce((total, weight, at) => total + weight * Number(body[at]), 0)
  return body + '10X98765432'.charAt(sum % 11)
}
