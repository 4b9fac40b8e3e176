import { describe, expect, test } from 'vitest'
import { isLoopback, isOriginAllowed } from './origin.js'

const OPEN = { hasToken: false, allowed: [] }

describe('origin', () => {
  test('no token → programs and pages of this machine, no other page', () => {
    const origins = {
      none: undefined,
      own: 'http://localhost:5173',
      address: 'http://127.0.0.1:8080',
      v6: 'http://[::1]:3000',
      foreign: 'https://evil.example',
      look: 'http://localhost.evil.example',
      rebound: 'http://127.0.0.1.evil.example',
      opaque: 'null',
    }
    const allowed = Object.entries(origins).filter(([, origin]) => isOriginAllowed(origin, OPEN))
    expect(allowed.map(([name]) => name)).toEqual(['none', 'own', 'address', 'v6'])
  })

  test('a listed origin, or a token to be shown → let in', () => {
    const page = 'https://app.example.com'
    expect(isOriginAllowed(page, { hasToken: false, allowed: [page] })).toBe(true)
    expect(isOriginAllowed(page, { hasToken: true, allowed: [] })).toBe(true)
  })

  test('hosts that mean this machine only', () => {
    const hosts = ['localhost', '127.0.0.1', '127.8.8.8', '::1', '0.0.0.0', '::', '10.0.0.1', 'db']
    expect(hosts.filter(isLoopback)).toEqual(['localhost', '127.0.0.1', '127.8.8.8', '::1'])
  })
})
