"""A store that speaks S3, for tests: moto's server with buckets that are told what to do on stdin.

Prints its port and a pair of keys, then answers each line with `ok`:

    put KEY BYTES SEED        an object
    multipart KEY SEED        one of 6 MiB in two parts: its ETag is no digest
    many PREFIX COUNT         small objects
    delete PREFIX             all that begin so
    keys                      from now on only who shows the keys is served
"""

import json
import sys
import urllib.request

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "photos"


def content(size, seed):
    pattern = bytes((seed * 31 + index * 7) % 251 for index in range(251))
    return (pattern * (size // len(pattern) + 1))[:size]


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    address = f"http://127.0.0.1:{port}"
    asked = dict(endpoint_url=address, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    iam, s3 = boto3.client("iam", **asked), boto3.client("s3", **asked)
    s3.create_bucket(Bucket=BUCKET)
    iam.create_user(UserName="agent")
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [allowed]}
    iam.put_user_policy(UserName="agent", PolicyName="read", PolicyDocument=json.dumps(policy))
    keys = iam.create_access_key(UserName="agent")["AccessKey"]
    print(port, keys["AccessKeyId"], keys["SecretAccessKey"], flush=True)
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split(" ")
        if word == "put":
            key, size, seed = rest
            s3.put_object(Bucket=BUCKET, Key=key, Body=content(int(size), int(seed)))
        elif word == "multipart":
            key, seed = rest
            upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
            named = dict(Bucket=BUCKET, Key=key, UploadId=upload)
            whole, parts = content(6 * 1024 * 1024, int(seed)), []
            for number, part in enumerate([whole[: 5 * 1024 * 1024], whole[5 * 1024 * 1024 :]], 1):
                etag = s3.upload_part(PartNumber=number, Body=part, **named)["ETag"]
                parts.append({"PartNumber": number, "ETag": etag})
            s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **named)
        elif word == "many":
            prefix, count = rest
            # Past HTTP, which takes a minute for a thousand.
            backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
            for number in range(int(count)):
                backend.put_object(BUCKET, f"{prefix}{number:05}.jpg", content(20, number))
        elif word == "delete":
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=rest[0])
            for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
                s3.delete_object(Bucket=BUCKET, Key=key)
        elif word == "keys":
            call = urllib.request.Request(f"{address}/moto-api/reset-auth", data=b"0", headers={"content-type": "text/plain"})
            urllib.request.urlopen(call).read()
        print("ok", flush=True)


main()
