/**
 * `kv`, the client as a program, against a node with real processes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { KvNode } from '@kv/node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Scene } from './scene/scene.js'
import { kv } from './scene/programs.js'
import { until } from './scene/until.js'

const PROGRAM = fileURLToPath(new URL('cli/main.js', import.meta.resolve('@kv/client')))
const TOKEN = 'what the operator chose'

describe('kv', () => {
  const scene = new Scene('kv, the program')
  let node: KvNode
  let ask: (...args: readonly string[]) => ReturnType<typeof kv>

  beforeAll(async () => {
    node = await scene.startNode({ children: 2, token: TOKEN })
    ask = (...args) => kv([...args, '--url', node.url, '--token', TOKEN])
  })
  afterAll(() => scene.end())

  test('what is set is got, as text and as JSON, and a version decides', async () => {
    expect(await ask('set', 'greeting', 'hello', '--ttl', '1h')).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^version \d+\n$/) as string,
      stderr: '',
    })
    expect(await ask('get', 'greeting')).toEqual({ code: 0, stdout: 'hello\n', stderr: '' })
    expect(await ask('set', 'greeting', 'again', '--if-absent')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('greeting is not written: it has version') as string,
    })
    await ask('set', 'user:1', '{"name":"Ada"}', '--json')
    const { stdout } = await ask('get', 'user:1', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ key: 'user:1', value: { name: 'Ada' } })
    expect(await ask('get', 'user:2')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'kv: there is no entry user:2\n',
    })
  })

  test('a value from standard input, a list, a count down, a delete', async () => {
    const target = ['--url', node.url, '--token', TOKEN]
    await kv(['set', 'file/1', '-', ...target], 'two\nlines\n')
    await ask('set', 'file/2', 'one line')
    expect(await ask('list', 'file/')).toMatchObject({
      stdout: 'file/1\ttwo\nlines\nfile/2\tone line\n',
    })
    expect(await ask('list', 'file/', '--keys', '--reverse', '--limit', '1')).toMatchObject({
      stdout: 'file/2\n',
    })
    await ask('increment', 'stock', '10')
    expect(await ask('increment', 'stock', '-3')).toMatchObject({ stdout: '7\n' })
    expect(await ask('delete', 'file/1', 'file/2', 'file/3')).toMatchObject({
      code: 1,
      stdout: '2 deleted\n',
    })
  })

  test('watch shows each change in a line, and ends in order with SIGINT', async () => {
    const args = ['watch', '--prefix', 'seen/', '--json', '--url', node.url, '--token', TOKEN]
    const watching = spawn(process.execPath, [PROGRAM, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let seen = ''
    watching.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text))
    await until('it watches', () => seen.includes('"ready"'))
    const client = scene.client({ url: node.url, token: TOKEN })
    await client.set('seen/1', new Map([['a', 1]]))
    await client.delete('seen/1')
    await until('both are seen', () => seen.split('\n').length === 4)
    const [, set, gone] = seen.split('\n').map((line) => JSON.parse(line || 'null') as unknown)
    expect(set).toMatchObject({ type: 'set', key: 'seen/1', value: [['a', 1]] })
    expect(gone).toMatchObject({ type: 'delete', key: 'seen/1' })
    const ended = once(watching, 'exit')
    watching.kill('SIGINT')
    expect(await ended).toEqual([0, null])
  })

  test('scale waits until nothing is left to move; status shows what there is', async () => {
    const { code, stdout } = await ask('scale', '3')
    expect(code).toBe(0)
    expect(stdout).toMatch(/3 children, nothing to move\n$/)
    expect(node.topology().children).toHaveLength(3)
    const page = (await ask('status')).stdout
    expect(page).toContain('3 children, nothing to move')
    expect(page).toContain('writes/s')
  })

  test('bench says what it measured, and leaves nothing behind', async () => {
    const load = ['--seconds', '1', '--in-flight', '16', '--keys', '100', '--json']
    const { code, stdout } = await ask('bench', ...load)
    expect(code).toBe(0)
    const calls = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { call: string })
    expect(calls.map(({ call }) => call)).toEqual(['set', 'get'])
    expect(await ask('list', 'kv-bench/')).toMatchObject({ stdout: '' })
  })

  test('what goes wrong is said, with a code of its own', async () => {
    expect(await kv(['get', 'a', '--url', node.url])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('UNAUTHENTICATED') as string,
    })
    expect(await kv(['status', '--url', node.url])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('asks for a token') as string,
    })
    expect(await kv(['status', '--url', 'kv://127.0.0.1:1'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is it running?') as string,
    })
    expect(await ask('set', 'a', '{', '--json')).toMatchObject({ code: 2 })
    expect(await kv(['get'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'kv: get needs a key\nTry kv --help.\n',
    })
  })
})
