import { getOption } from '@bufbuild/protobuf';
import { permission } from '@millrace/contracts/common';
import { GRPCInferenceService } from '@millrace/contracts/inference';
import { grpcTransport } from '@millrace/rpc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { offered } from '../bad-input.ts';
import { framed, open, raw, send } from './http2.ts';
import { kindOf, reflected } from './methods.ts';
import { all, invalid, type Session } from './session.ts';

/** Who may ask, and for what: rows 5, 6, 19, 20, 24 and 28. */
export function accessRows(session: () => Session): void {
  describe('row 5: without the token', () => {
    it.each(all)('no method of %s answers, by reflection', async (name) => {
      const transport = grpcTransport({ address: session().suite.service(name).address });
      try {
        const found = await reflected(transport);
        const open = /^grpc\.(health|reflection)\./;
        const own = found.filter(({ typeName }) => !open.test(typeName));
        // What the other attacks go through is all that there is.
        expect(own.map((service) => service.typeName).toSorted()).toEqual(
          offered[name].map((service) => service.typeName).toSorted(),
        );
        const methods = own.flatMap((service) => service.methods);
        const kinds = await Promise.all(methods.map((method) => kindOf(transport, method, {})));
        expect(kinds).toEqual(methods.map(() => 'unauthenticated'));
      } finally {
        transport.close();
      }
    });

    it('row 24: headers that name somebody, and tokens that are nearly right, are nobody’s', async () => {
      const tricks: readonly Readonly<Record<string, string>>[] = [
        { 'x-user': 'admin' },
        { 'kubeflow-userid': 'admin@example.com' },
        { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-user': 'admin' },
        { 'x-authorization': `Bearer ${session().token}` },
        { authorization: session().token },
        { authorization: `bearer ${session().token}` },
        { authorization: `Bearer  ${session().token}` },
        { authorization: `Bearer ${session().token.slice(0, -1)}` },
        { authorization: `Bearer ${session().token}, Bearer x` },
        { authorization: `Basic ${Buffer.from(`admin:${session().token}`).toString('base64')}` },
        { authorization: 'Bearer undefined' },
        { authorization: 'Bearer ' },
        { authorization: `Bearer ${'x'.repeat(4_000)}` },
        { 'x-request-id': '../../admin' },
      ];
      for (const name of all) {
        const transport = grpcTransport({ address: session().suite.service(name).address });
        const method = offered[name][0]!.methods.find((one) => one.methodKind === 'unary')!;
        for (const metadata of tricks)
          expect([metadata, await kindOf(transport, method, metadata)]).toEqual([
            metadata,
            'unauthenticated',
          ]);
        const right = { authorization: `Bearer ${session().token}`, 'x-user': 'nobody' };
        expect(await kindOf(transport, method, right)).not.toBe('unauthenticated');
        transport.close();
      }
    });
  });

  it('row 6: other verbs and other content than gRPC are answered by no method', async () => {
    for (const name of all) {
      const { address } = session().suite.service(name);
      const method = offered[name][0]!.methods[0]!;
      const path = `/${method.parent.typeName}/${method.name}`;
      const connection = open(address);
      for (const verb of ['GET', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECTED'])
        for (const content of ['application/grpc', 'application/json', 'text/plain']) {
          const override = { 'x-http-method-override': 'POST', authorization: `Bearer ${session().token}` };
          const headers = {
            ':method': verb,
            ':path': path,
            'content-type': content,
            te: 'trailers',
            ...override,
          };
          const { grpc } = await send(connection, headers, framed(new Uint8Array()));
          expect([verb, content, grpc === 0]).toEqual([verb, content, false]);
        }
      connection.destroy();
      expect(await raw(address, `GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`)).not.toContain(
        'grpc-status: 0',
      );
    }
  });

  it('row 19: what is in one project is not found from another', async () => {
    const other = session().inProject('other');
    const { parent } = other;
    await expect(other.registry.getModel({ name: `${parent}/models/heat` })).rejects.toMatchObject({
      kind: 'not_found',
    });
    await expect(other.features.getSource({ name: `${parent}/sources/readings` })).rejects.toMatchObject({
      kind: 'not_found',
    });
    const stolen = other.features.applyFeatureView({
      featureView: {
        name: `${parent}/featureViews/v`,
        entities: ['projects/default/entities/machine'],
        source: 'projects/default/sources/readings',
        timestampColumn: 'seen',
        features: [{ name: 'heat' }],
      },
    });
    await expect(stolen).rejects.toMatchObject(invalid);
    const deployed = other.deployments.createDeployment({
      parent,
      deploymentId: 'd',
      deployment: {
        targets: [
          { model: 'projects/default/models/heat', selector: { case: 'version', value: 1 }, weight: 1 },
        ],
      },
    });
    await expect(deployed).rejects.toMatchObject(invalid);
    expect((await other.tracking.searchRuns({ parent })).runs).toEqual([]);
    other.close();
  });

  it('row 20: a name that would be a pattern of subjects is no project', async () => {
    const bad = fc.oneof(
      fc.constantFrom(
        'a.>',
        '*',
        '>',
        'a.b',
        'a b',
        'A',
        '',
        'é',
        '-a',
        'a-',
        'a/b',
        'a\n',
        '$JS',
        'a\0',
        'x'.repeat(64),
        'a%2e',
      ),
      fc.string({ maxLength: 80 }).filter((text) => !/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)),
    );
    await fc.assert(
      fc.asyncProperty(bad, async (project) => {
        const parent = `projects/${project}`;
        const experiment = { displayName: 'x' };
        await expect(
          session().millrace.tracking.createExperiment({ parent, experiment }),
        ).rejects.toMatchObject(invalid);
        await expect(
          session().millrace.registry.createModel({ parent, modelId: 'm', model: {} }),
        ).rejects.toMatchObject(invalid);
      }),
      { numRuns: 60 },
    );
  });

  it('row 28: loading and unloading models is another permission than asking them', () => {
    const of = (method: string) =>
      getOption(GRPCInferenceService.methods.find(({ name }) => name === method)!, permission);
    expect(of('ModelInfer')).toBe('serving.models.infer');
    for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload'])
      expect([of('ModelInfer'), of('ModelStreamInfer'), of('ModelReady'), '']).not.toContain(of(method));
  });
}
