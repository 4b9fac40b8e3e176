import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockDirectory } from './directory-lock.js'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kv-lock-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true })
})

describe('directory lock', () => {
  test('a second holder → refused with the directory and what to do', async () => {
    const lock = await lockDirectory(directory)
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`${directory} is in use by another kv node`) as string,
    })
    await lock.release()
  })

  test('released → free, and nothing is left in the directory', async () => {
    for (let round = 0; round < 2; round += 1) {
      const lock = await lockDirectory(directory)
      await lock.release()
    }
    expect(await readdir(directory)).toEqual([])
  })

  test('the same directory under another name → the same lock', async () => {
    const link = `${directory}-link`
    await symlink(directory, link)
    const lock = await lockDirectory(directory)
    await expect(lockDirectory(link)).rejects.toThrow('is in use')
    await lock.release()
    await rm(link)
  })

  test.skipIf(process.platform === 'win32')(
    'the holder was killed → what it left behind does not lock',
    async () => {
      const file = JSON.stringify(join(directory, 'coordinator.sock'))
      const script = `require('net').createServer().listen(${file}, () => console.log('held'))`
      const holder = spawn(process.execPath, ['-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(holder.stdout, 'data')
      await expect(lockDirectory(directory)).rejects.toThrow('is in use')
      holder.kill('SIGKILL')
      await once(holder, 'exit')
      expect(await readdir(directory)).toEqual(['coordinator.sock'])
      const lock = await lockDirectory(directory)
      await lock.release()
    },
  )
})
