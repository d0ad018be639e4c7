"""A gRPC client without stubs: everything it knows of a server it asks the server, by reflection."""

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

DEADLINE_S = 20


class Refused(Exception):
    """A call that was answered with an error: its code, message, and what google.rpc.BadRequest says."""

    def __init__(self, error: grpc.RpcError):
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code()
        self.violations = {}
        self.reason = ""
        for key, value in error.trailing_metadata() or ():
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(bad):
                    self.violations = {v.field: v.description for v in bad.field_violations}
                elif detail.Unpack(info):
                    self.reason = info.reason


class Server:
    """One server, by its address."""

    def __init__(self, address: str):
        self.channel = grpc.insecure_channel(address)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def services(self):
        """The full names of the services it has."""
        return sorted(self.database.get_services())

    def methods(self, service: str):
        """The descriptors of a service's methods."""
        return self.pool.FindServiceByName(service).methods

    def call(self, service: str, method: str, parts=None, /, **fields):
        """Calls a method with the fields of its request; a client stream takes its parts. Streams come back as lists."""
        descriptor = self.pool.FindServiceByName(service).FindMethodByName(method)
        make = message_factory.GetMessageClass(descriptor.input_type)
        kind = ("stream" if descriptor.client_streaming else "unary") + (
            "_stream" if descriptor.server_streaming else "_unary"
        )
        stub = getattr(self.channel, kind)(
            f"/{service}/{method}",
            request_serializer=make.SerializeToString,
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        if descriptor.client_streaming:
            sent = iter([make(**part) for part in parts])
        else:
            sent = make(**fields)
        try:
            answer = stub(sent, timeout=DEADLINE_S)
            return list(answer) if descriptor.server_streaming else answer
        except grpc.RpcError as error:
            raise Refused(error) from None

    def message(self, name: str):
        """A message class by its full name."""
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def rules(self, field):
        """The limits a field declares in its option (millrace.common.v1.rules), or None."""
        extension = self.pool.FindExtensionByName("millrace.common.v1.rules")
        options = self.message("google.protobuf.FieldOptions")
        own = options.FromString(field.GetOptions().SerializeToString())
        return own.Extensions[extension] if own.HasExtension(extension) else None
