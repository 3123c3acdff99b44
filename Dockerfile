# The course in a container, with PyTorch for the processor alone:
#
#     docker build -t trickkit .
#     docker run --rm -p 8888:8888 -v trickkit:/home/learner/my_course trickkit
#
# Open the link that it prints. What you write is kept in the volume called trickkit.
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

WORKDIR /opt/trickkit
COPY . .
# The versions stand in constraints.txt.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir -c constraints.txt --index-url "${TORCH_INDEX}" torch torchvision \
 && pip install --no-cache-dir -c constraints.txt -e '.[lab,game]' \
 && useradd --create-home --uid 1000 learner \
 && install -d -o learner /home/learner/my_course

USER 1000
WORKDIR /home/learner
ENV TRICKKIT_COURSE=/home/learner/my_course
EXPOSE 8888
CMD ["trickkit", "course", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
