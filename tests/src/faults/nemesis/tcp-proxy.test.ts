/**
 * The network of the faults: what it does to bytes, told by those at its ends.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../scene/until.js'
import { TcpProxy } from './tcp-proxy.js'

/** A client of an echo, with the proxy in between. */
async function echoed(): Promise<{ proxy: TcpProxy; client: Socket; heard: () => string }> {
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await TcpProxy.start((server.address() as AddressInfo).port)
  const client = connect(Number(new URL(proxy.url).port), '127.0.0.1')
  client.on('error', () => undefined)
  onTestFinished(async () => {
    client.destroy()
    await proxy.close()
    server.close()
  })
  let text = ''
  client.on('data', (bytes) => (text += bytes.toString()))
  return { proxy, client, heard: () => text }
}

test('hands on what is said, in order, also when it is slow', async () => {
  const { proxy, client, heard } = await echoed()
  client.write('one ')
  await until('the first is heard', () => heard() === 'one ')
  proxy.slowBy(20)
  client.write('two ')
  client.write('three')
  await until('all is heard', () => heard().length === 13)
  expect(heard()).toBe('one two three')
})

test('holds everything back, and gives it all when it is released', async () => {
  const { proxy, client, heard } = await echoed()
  client.write('before ')
  await until('the line stands', () => heard() === 'before ')
  proxy.hold()
  client.write('after')
  await until('it has been sent', () => client.bytesWritten === 12)
  expect(heard()).toBe('before ')
  proxy.release()
  await until('it is heard', () => heard() === 'before after')
})

test('cuts the chosen lines: their ends are told', async () => {
  const { proxy, client, heard } = await echoed()
  client.write('x')
  await until('the line stands', () => heard() === 'x')
  expect(proxy.cut(() => false)).toBe(0)
  const closed = new Promise((resolve) => client.once('close', resolve))
  expect(proxy.cut()).toBe(1)
  await closed
  await until('the line is gone', () => proxy.lineCount === 0)
})
